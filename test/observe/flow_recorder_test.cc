// SPDX-License-Identifier: Apache-2.0
#include "observe/flow_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "observe/flow_fixture.h"

namespace nodeward::observe {
namespace {

using ::testing::HasSubstr;

class FlowRecorderTest : public ::testing::Test {
 protected:
  FlowRecorderTest() {
    auto loop = io::Loop::Create();
    EXPECT_TRUE(loop.ok());
    loop_ = *std::move(loop);
    recorder_ = std::make_unique<FlowRecorder>(*loop_, &metrics_, &access_log_,
                                               FlowRecorder::Options());
  }

  Flow NewFlow() {
    return MakeFlow(++id_, Reporter::kSource, sleep_, httpbin_);
  }
  size_t EdgeCount() {
    return recorder_->EdgesResult(base::Json::object())["edges"].size();
  }
  // Whether `line` is in the metrics' text.
  void ExpectMetric(const std::string& line) {
    EXPECT_THAT(metrics_.Text(), HasSubstr(line));
  }

  std::unique_ptr<io::Loop> loop_;
  Metrics metrics_{{.version = "test"}};
  std::string lines_;
  std::function<void()> on_lines_;
  AccessLog access_log_{base::LogFormat::kText, [this](std::string_view text) {
                          lines_ += text;
                          if (on_lines_) on_lines_();
                        }};
  std::unique_ptr<FlowRecorder> recorder_;
  uint64_t id_ = 0;
  std::shared_ptr<const model::Workload> sleep_ = MakeWorkload("full", "sleep");
  std::shared_ptr<const model::Workload> httpbin_ =
      MakeWorkload("mtls-test", "httpbin");
};

TEST_F(FlowRecorderTest, ABatchFromWorkersIsRecordedOnTheLoop) {
  constexpr int kThreads = 4, kFlows = 50;
  size_t seen = 0;
  on_lines_ = [&] {
    EXPECT_TRUE(loop_->InLoopThread());
    seen = static_cast<size_t>(std::count(lines_.begin(), lines_.end(), '\n'));
    if (seen == kThreads * kFlows) loop_->Stop();
  };
  std::vector<std::thread> workers;
  for (int worker = 0; worker < kThreads; ++worker) {
    workers.emplace_back([&, worker] {
      for (int i = 0; i < kFlows; ++i) {
        const Flow flow = MakeFlow(static_cast<uint64_t>(worker * 1000 + i),
                                   Reporter::kSource, sleep_, httpbin_);
        recorder_->Opened(flow);
        recorder_->Closed(flow);
      }
    });
  }
  loop_->Run();
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(seen, size_t{kThreads * kFlows});
  EXPECT_EQ(EdgeCount(), 1u);
}

TEST_F(FlowRecorderTest, AskingForEdgesRecordsWhatIsQueued) {
  recorder_->Opened(NewFlow());
  EXPECT_EQ(EdgeCount(), 1u);
  EXPECT_EQ(
      recorder_->EdgesResult({{"namespace", "elsewhere"}})["edges"].size(), 0u);
}

TEST_F(FlowRecorderTest, OnlyTheEndIsLogged) {
  const Flow flow = NewFlow();
  recorder_->Opened(flow);
  recorder_->Flush();
  EXPECT_EQ(lines_, "");
  recorder_->Closed(flow);
  recorder_->Flush();
  EXPECT_THAT(lines_, HasSubstr(" access direction=outbound "));
}

TEST_F(FlowRecorderTest, AFlowThatNeverOpenedIsAFailure) {
  Flow flow = NewFlow();
  flow.outcome = Outcome::kUpstreamRefused;
  recorder_->Closed(flow);
  recorder_->Flush();
  ExpectMetric("istio_tcp_connections_failed_total{");
}

TEST_F(FlowRecorderTest, TheQueueIsBoundedAndTheTablesStayRight) {
  const Flow open = NewFlow();
  recorder_->Opened(open);
  recorder_->Flush();
  for (size_t i = 0; i < FlowRecorder::kMaxQueued; ++i) {
    recorder_->Opened(NewFlow());
  }
  recorder_->Opened(NewFlow());  // one too many
  recorder_->Closed(open);       // two too many
  recorder_->Flush();
  ExpectMetric("nodeward_flow_events_lost_total 2\n");
  // All but `open`, whose end was lost, are ended in order.
  for (uint64_t id = 2; id <= FlowRecorder::kMaxQueued + 1; ++id) {
    recorder_->Closed(MakeFlow(id, Reporter::kSource, sleep_, httpbin_));
  }
  recorder_->Flush();
  EXPECT_EQ(EdgeCount(), 1u);
}

TEST_F(FlowRecorderTest, WhatIsQueuedAtTheEndIsRecorded) {
  recorder_->Closed(NewFlow());
  recorder_.reset();
  EXPECT_THAT(lines_, HasSubstr("outcome=closed"));
  // What was posted must not touch the recorder that is gone.
  loop_->Stop();
  loop_->Run();
}

}  // namespace
}  // namespace nodeward::observe
