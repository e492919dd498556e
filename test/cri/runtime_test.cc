// SPDX-License-Identifier: Apache-2.0
#include "cri/runtime.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/text.h"
#include "nodeward/proto/cri.grpc.pb.h"

namespace nodeward::cri {
namespace {

namespace proto = runtime::v1;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// A container runtime as far as we speak with one.
class FakeRuntime final : public proto::RuntimeService::Service {
 public:
  struct Pod {
    std::string uid, id, info;
    proto::PodSandboxState state = proto::SANDBOX_READY;
    int64_t created = 0;
  };
  void Set(std::vector<Pod> pods) {
    base::MutexLock lock(&mutex_);
    pods_ = std::move(pods);
  }

 private:
  grpc::Status ListPodSandbox(
      grpc::ServerContext*, const proto::ListPodSandboxRequest*,
      proto::ListPodSandboxResponse* response) override {
    base::MutexLock lock(&mutex_);
    for (const Pod& pod : pods_) {
      auto* item = response->add_items();
      item->set_id(pod.id);
      item->set_state(pod.state);
      item->set_created_at(pod.created);
      item->mutable_metadata()->set_uid(pod.uid);
      item->mutable_metadata()->set_name("p");
      item->mutable_metadata()->set_namespace_("n");
    }
    return grpc::Status::OK;
  }
  grpc::Status PodSandboxStatus(
      grpc::ServerContext*, const proto::PodSandboxStatusRequest* request,
      proto::PodSandboxStatusResponse* response) override {
    base::MutexLock lock(&mutex_);
    for (const Pod& pod : pods_) {
      if (pod.id != request->pod_sandbox_id() || !request->verbose()) continue;
      auto* network = response->mutable_status()->mutable_network();
      network->set_ip("10.0.0.1");
      network->add_additional_ips()->set_ip("fd00::1");
      (*response->mutable_info())["info"] = pod.info;
      return grpc::Status::OK;
    }
    return {grpc::StatusCode::NOT_FOUND, "no such sandbox"};
  }
  base::Mutex mutex_;
  std::vector<Pod> pods_ ABSL_GUARDED_BY(mutex_);
};

std::string InfoWith(const std::string& path) {
  return base::StrCat(
      R"({"runtimeSpec":{"linux":{"namespaces":[{"type":"network","path":")",
      path, R"("}]}}})");
}

class RuntimeTest : public testing::Test {
 protected:
  RuntimeTest()
      : socket_(base::StrCat("unix:///tmp/nodeward-cri-", getpid(), ".sock")),
        loop_(*io::Loop::Create()),
        thread_([this] { loop_->Run(); }) {
    Do([this] { source_ = AskRuntime(*loop_, socket_); });
  }
  ~RuntimeTest() override {
    Do([this] { source_.reset(); });
    loop_->Stop();
    thread_.join();
    if (server_ != nullptr) server_->Shutdown();
    unlink(socket_.c_str() + sizeof("unix://") - 1);
  }
  void Serve() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(socket_, grpc::InsecureServerCredentials());
    builder.RegisterService(&runtime_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void Start() {
    Do([this] {
      source_->Start([this](const Sandboxes& all) {
        base::MutexLock lock(&mutex_);
        all_ = all;
      });
    });
  }
  void Expect(std::set<std::string> pods) {
    Do([&] { source_->Expect(pods); });
  }
  Sandboxes Await(const std::function<bool(const Sandboxes&)>& good) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (true) {
      {
        base::MutexLock lock(&mutex_);
        if (good(all_) || absl::Now() > deadline) return all_;
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
  }
  std::string Problem() {
    std::string problem;
    Do([&] { problem = source_->problem(); });
    return problem;
  }
  void Do(const std::function<void()>& work) {
    std::promise<void> done;
    loop_->Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  const std::string socket_;
  std::unique_ptr<io::Loop> loop_;
  std::thread thread_;
  std::unique_ptr<SandboxSource> source_;
  FakeRuntime runtime_;
  std::unique_ptr<grpc::Server> server_;
  base::Mutex mutex_;
  Sandboxes all_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(RuntimeTest, TellsTheNamespacesOfLivePods) {
  runtime_.Set(
      {{"one", "s1", InfoWith("/netns/1")},
       {"host", "s2", R"({"runtimeSpec":{"linux":{"namespaces":[]}}})"},
       {"old", "s3", InfoWith("/netns/3"), proto::SANDBOX_NOTREADY},
       {"twice", "s4", InfoWith("/netns/4"), proto::SANDBOX_READY, 2},
       {"twice", "s5", InfoWith("/netns/5"), proto::SANDBOX_READY, 1}});
  Serve();
  Start();
  const Sandboxes all =
      Await([](const Sandboxes& seen) { return seen.size() == 2; });
  const std::vector<base::IpAddress> ips{*base::IpAddress::Parse("10.0.0.1"),
                                         *base::IpAddress::Parse("fd00::1")};
  EXPECT_THAT(all, ElementsAre(Pair("one", Sandbox{"/netns/1", ips}),
                               Pair("twice", Sandbox{"/netns/4", ips})));
}

TEST_F(RuntimeTest, FindsAnExpectedPodSoonAndForgetsOneThatHasGone) {
  runtime_.Set({{"one", "s1", InfoWith("/netns/1")}});
  Serve();
  Start();
  Await([](const Sandboxes& seen) { return seen.contains("one"); });
  Expect({"one", "two"});
  runtime_.Set({{"two", "s2", InfoWith("/netns/2")}});
  const Sandboxes all =
      Await([](const Sandboxes& seen) { return seen.contains("two"); });
  EXPECT_EQ(all.size(), 1);
  // The pod gets another sandbox.
  runtime_.Set({{"two", "s3", InfoWith("/netns/3")}});
  Expect({"two", "three"});
  Await([](const Sandboxes& seen) {
    return seen.contains("two") && seen.at("two").netns == "/netns/3";
  });
}

TEST_F(RuntimeTest, ARuntimeThatComesLaterIsFound) {
  Start();
  Expect({"one"});
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (Problem().empty() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_THAT(Problem(), HasSubstr(socket_));
  runtime_.Set({{"one", "s1", InfoWith("/netns/1")}});
  Serve();
  Await([](const Sandboxes& seen) { return seen.contains("one"); });
  EXPECT_THAT(Problem(), IsEmpty());
}

TEST_F(RuntimeTest, ASandboxThatDoesNotTellIsNamed) {
  runtime_.Set({{"mute", "s1", "{}"}, {"one", "s2", InfoWith("/netns/2")}});
  Serve();
  Start();
  Await([](const Sandboxes& seen) { return seen.contains("one"); });
  EXPECT_THAT(Problem(), HasSubstr("pod n/p: read sandbox"));
}

}  // namespace
}  // namespace nodeward::cri
