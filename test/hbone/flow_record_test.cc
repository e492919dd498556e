// SPDX-License-Identifier: Apache-2.0
#include "hbone/flow_record.h"

#include <gtest/gtest.h>

#include <vector>

namespace nodeward::hbone {
namespace {

using observe::Flow;
using observe::Outcome;

class Sink final : public observe::FlowSink {
 public:
  void Opened(const Flow& flow) override { opened.push_back(flow); }
  void Closed(const Flow& flow) override { closed.push_back(flow); }
  std::vector<Flow> opened;
  std::vector<Flow> closed;
};

TEST(FlowRecordTest, IsClosedOnceWithTheFirstOutcome) {
  Sink sink;
  {
    FlowRecord record(&sink, 7, observe::Reporter::kSource, absl::Seconds(10));
    record.Open();
    record.Open();
    record.flow().bytes_sent = 5;
    record.Close(Outcome::kReset, "why", absl::Seconds(13));
    record.Close(Outcome::kClosed, "", absl::Seconds(20));
  }
  ASSERT_EQ(sink.opened.size(), 1u);
  EXPECT_EQ(sink.opened[0].outcome, Outcome::kOpen);
  ASSERT_EQ(sink.closed.size(), 1u);
  EXPECT_EQ(sink.closed[0].id, 7u);
  EXPECT_EQ(sink.closed[0].outcome, Outcome::kReset);
  EXPECT_EQ(sink.closed[0].detail, "why");
  EXPECT_EQ(sink.closed[0].duration, absl::Seconds(3));
  EXPECT_EQ(sink.closed[0].bytes_sent, 5u);
}

TEST(FlowRecordTest, IsNeverForgotten) {
  Sink sink;
  { FlowRecord record(&sink, 1, observe::Reporter::kDestination, {}); }
  ASSERT_EQ(sink.closed.size(), 1u);
  EXPECT_EQ(sink.closed[0].outcome, Outcome::kShutdown);
  EXPECT_TRUE(sink.opened.empty());
}

}  // namespace
}  // namespace nodeward::hbone
