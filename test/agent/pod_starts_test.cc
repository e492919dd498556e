// SPDX-License-Identifier: Apache-2.0
#include "agent/pod_starts.h"

#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "capture/loop_thread.h"
#include "capture/netns.h"

namespace nodeward::agent {
namespace {

using cni::Answer;
using Kind = cni::Answer::Kind;
using testing::HasSubstr;

// A process in a network namespace of its own.
class Sandbox {
 public:
  Sandbox() {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_ = fork();
    if (pid_ == 0) {
      if (unshare(CLONE_NEWNET) != 0 || write(ready[1], "r", 1) != 1) _exit(1);
      for (;;) pause();
    }
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    cookie_ = (*capture::Netns::Open(path()))->cookie();
  }
  ~Sandbox() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::string path() const { return base::StrCat("/proc/", pid_, "/ns/net"); }
  uint64_t cookie() const { return cookie_; }

 private:
  pid_t pid_;
  uint64_t cookie_ = 0;
};

class PodStartsTest : public testing::Test {
 protected:
  void SetUp() override { Make(absl::Minutes(3)); }
  void Make(absl::Duration patience) {
    loop_.Do([&] {
      starts_ = std::make_unique<PodStarts>(
          loop_.loop(),
          PodStarts::Sight{
              .node = "node-a",
              .steered = [this] { return steered_; },
              .pods = [this] { return pods_; },
              .tell = [this](const std::string& uid,
                             cri::Sandbox sandbox) { told_[uid] = sandbox; },
              .look_up =
                  [this](const std::string& name_space, const std::string& pod,
                         std::function<void(kube::PodObjects)> done) {
                    looked_up_ = name_space + "/" + pod;
                    found_ = std::move(done);
                  },
              .knows_namespace =
                  [this](const std::string& name_space) {
                    return name_space == known_namespace_;
                  },
              .patience = patience});
    });
  }
  void TearDown() override {
    loop_.Do([this] { starts_.reset(); });
  }

  cni::Question About(bool starts = true) const {
    return {.starts = starts,
            .netns = sandbox_.path(),
            .container_id = "c1",
            .name_space = "full",
            .pod = "sleep",
            .uid = "u1",
            .ips = {*base::IpAddress::Parse("10.0.0.7")}};
  }
  void Ask(const cni::Question& question) {
    loop_.Do([&] {
      answer_.reset();
      starts_->Ask(question,
                   [this](const Answer& answer) { answer_ = answer; });
    });
  }
  bool Answered() {
    bool answered = false;
    loop_.Do([&] { answered = answer_.has_value(); });
    return answered;
  }
  Answer Await() {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (!Answered() && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    return answer_.value_or(Answer{Kind::kUnsure, "no answer"});
  }
  void Steer(bool opted_in, model::Membership membership,
             const std::string& node = "node-a") {
    auto workload = std::make_shared<model::Workload>();
    workload->uid = "u1";
    workload->name = "sleep";
    workload->name_space = "full";
    workload->node = node;
    workload->opted_in = opted_in;
    workload->membership = membership;
    workload->membership_reason = std::string("label x");
    auto snapshot = std::make_shared<model::Snapshot>();
    snapshot->workloads.push_back(workload);
    loop_.Do([&] { steered_ = snapshot; });
  }
  void Status(const std::string& uid, capture::PodState state, uint64_t cookie,
              const std::string& reason = "") {
    loop_.Do([&] {
      pods_.push_back({.uid = uid,
                       .name = uid,
                       .name_space = "full",
                       .state = state,
                       .reason = reason,
                       .netns_cookie = cookie,
                       .host_interface = "",
                       .probe_exemption = false});
    });
  }
  // The API server's answer.
  void Find(const std::string& label, const std::string& uid = "u1") {
    kube::PodObjects objects;
    objects.pod_status = objects.namespace_status = 200;
    objects.pod = *base::ParseJson(base::StrCat(
        R"({"metadata":{"name":"sleep","namespace":"full","uid":")", uid,
        R"("},"spec":{"nodeName":"node-a"}})"));
    objects.name_space = *base::ParseJson(
        base::StrCat(R"({"metadata":{"name":"full","labels":{)", label, "}}}"));
    loop_.Do([&] { found_(objects); });
  }
  void FindNothing() {
    kube::PodObjects objects;
    objects.transport = absl::UnavailableError("API away");
    loop_.Do([&] { found_(objects); });
  }

  static constexpr char kEnabled[] = R"("nodeward.io/mesh":"enabled")";
  const Sandbox sandbox_;
  model::SnapshotPtr steered_;
  std::vector<capture::PodStatus> pods_;
  std::map<std::string, cri::Sandbox> told_;
  std::string looked_up_;
  std::function<void(kube::PodObjects)> found_;
  std::string known_namespace_ = "full";
  std::optional<Answer> answer_;
  capture::LoopThread loop_;
  std::unique_ptr<PodStarts> starts_;
};

TEST_F(PodStartsTest, APodOfTheMeshWaitsUntilItIsCaptured) {
  Steer(true, model::Membership::kEnabled);
  Status("u1", capture::PodState::kPending, 0);
  Ask(About());
  EXPECT_EQ(told_["u1"].netns, sandbox_.path());
  EXPECT_EQ(told_["u1"].ips.size(), 1);
  EXPECT_FALSE(Answered());
  // Its former sandbox is not this one.
  loop_.Do([this] { pods_.clear(); });
  Status("u1", capture::PodState::kEnrolled, sandbox_.cookie() + 1);
  loop_.Do([] {});
  EXPECT_FALSE(Answered());
  loop_.Do([this] { pods_.clear(); });
  Status("u1", capture::PodState::kEnrolled, sandbox_.cookie());
  EXPECT_EQ(Await().kind, Kind::kCaptured);
  // The API server need not be asked.
  EXPECT_EQ(looked_up_, "");
}

TEST_F(PodStartsTest, WhatCannotBeCapturedIsRefused) {
  Make(absl::ZeroDuration());
  Steer(true, model::Membership::kEnabled);
  Status("u1", capture::PodState::kFailed, 0, "no veth");
  Ask(About());
  EXPECT_EQ(Await().kind, Kind::kRefused);
  EXPECT_THAT(answer_->reason,
              HasSubstr("it is of the mesh and not captured: failed: no veth"));
}

TEST_F(PodStartsTest, OfAPodNotOptedInTheApiServerIsAsked) {
  Steer(false, model::Membership::kNotOptedIn);
  Ask(About());
  EXPECT_EQ(looked_up_, "full/sleep");
  EXPECT_FALSE(Answered());
  Find("");
  EXPECT_EQ(Await().kind, Kind::kOutside);
}

TEST_F(PodStartsTest, TheWatchesMayBeBehind) {
  Ask(About());
  Find(kEnabled);
  EXPECT_FALSE(Answered());
  Steer(true, model::Membership::kEnabled);
  Status("u1", capture::PodState::kEnrolled, sandbox_.cookie());
  EXPECT_EQ(Await().kind, Kind::kCaptured);
}

TEST_F(PodStartsTest, WithoutApiServerWhatWasToldCounts) {
  Steer(false, model::Membership::kNotOptedIn);
  Ask(About());
  FindNothing();
  EXPECT_EQ(Await(), (Answer{Kind::kOutside, "label x"}));
  // A pod that is not known may be any.
  loop_.Do([this] { steered_ = nullptr; });
  Ask(About());
  FindNothing();
  EXPECT_EQ(Await(), (Answer{Kind::kUnsure, "API away"}));
  // So may one of a namespace that is not known.
  Steer(false, model::Membership::kNotOptedIn);
  known_namespace_ = "other";
  Ask(About());
  FindNothing();
  EXPECT_EQ(Await().kind, Kind::kUnsure);
}

TEST_F(PodStartsTest, WhatTheApiServerDoesNotHaveIsRefused) {
  Ask(About());
  Find(kEnabled, "u2");
  EXPECT_EQ(Await().kind, Kind::kRefused);
  EXPECT_THAT(answer_->reason, HasSubstr("with UID u2"));
  // Another node's pod is not ours, whatever it has.
  Steer(true, model::Membership::kEnabled, "node-b");
  Status("u1", capture::PodState::kEnrolled, sandbox_.cookie());
  Ask(About());
  Find(kEnabled, "u2");
  EXPECT_EQ(Await().kind, Kind::kRefused);
}

TEST_F(PodStartsTest, NamespacesThatCannotBeThePods) {
  Steer(true, model::Membership::kEnabled);
  cni::Question question = About();
  question.netns = "/proc/self/ns/net";
  Ask(question);
  EXPECT_THAT(Await().reason, HasSubstr("is the node's own"));
  question.netns = "/nowhere";
  Ask(question);
  EXPECT_THAT(Await().reason, HasSubstr("open network namespace /nowhere"));
  Status("other", capture::PodState::kEnrolled, sandbox_.cookie());
  Ask(About());
  EXPECT_THAT(Await().reason,
              HasSubstr("its network namespace is that of pod full/other"));
  question = About();
  question.pod = "../x";
  Ask(question);
  EXPECT_THAT(Await().reason, HasSubstr("its name is none of Kubernetes"));
  EXPECT_EQ(looked_up_, "");
}

TEST_F(PodStartsTest, Check) {
  Steer(true, model::Membership::kEnabled);
  Ask(About(false));
  EXPECT_EQ(Await().kind, Kind::kRefused);
  EXPECT_TRUE(told_.empty());
  Status("u1", capture::PodState::kEnrolled, sandbox_.cookie());
  Ask(About(false));
  EXPECT_EQ(Await().kind, Kind::kCaptured);
  Steer(false, model::Membership::kNotOptedIn);
  Ask(About(false));
  EXPECT_EQ(Await().kind, Kind::kOutside);
  EXPECT_EQ(looked_up_, "");
}

TEST_F(PodStartsTest, WhoLeavesLetsAllStart) {
  Steer(true, model::Membership::kEnabled);
  Ask(About());
  EXPECT_FALSE(Answered());
  loop_.Do([this] { starts_->Open(); });
  EXPECT_EQ(Await().kind, Kind::kOutside);
  Ask(About());
  EXPECT_EQ(Await().kind, Kind::kOutside);
}

TEST_F(PodStartsTest, AnswersThatComeTooLateAreNoMatter) {
  Ask(About());
  loop_.Do([this] { starts_.reset(); });
  FindNothing();
  EXPECT_FALSE(Answered());
}

}  // namespace
}  // namespace nodeward::agent
