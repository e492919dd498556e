// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <utility>

#include "capture/fake_hooks.h"
#include "capture/node_enroller.h"
#include "capture/node_fixture.h"

namespace nodeward::capture {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

// Two agents of a node, and what the first one hands over to the second.
class HandoverTest : public testing::Test {
 protected:
  HandoverTest() : hooks_(std::make_shared<FakeHooks>()) {
    agent_ = Begin();
    next_ = Begin();
  }
  ~HandoverTest() override {
    next_.reset();
    agent_.reset();
  }
  std::unique_ptr<RunningEnroller> Begin() {
    return std::make_unique<RunningEnroller>(
        [this](io::Loop& loop, Options options, PodSink* sink) {
          return NodeEnroller::Create(loop, std::move(options), sink, hooks_);
        },
        Options{});
  }
  bool Hooked(uint64_t cookie) {
    return hooks_->With([&] {
      return hooks_->lookups.contains(cookie) &&
             hooks_->connects.contains(cookie);
    });
  }
  // As the agent would: with the engine's listeners, duplicated.
  std::vector<HandedPod> HandOver() {
    std::vector<HandedPod> pods;
    agent_->With([&](Enroller& enroller) { pods = enroller.HandOver(); });
    for (HandedPod& pod : pods) {
      const Listeners& once = agent_->sink.Find(pod.uid)->listeners;
      for (const auto& [from, to] :
           {std::pair(&once.outbound4, &pod.listeners.outbound4),
            std::pair(&once.outbound6, &pod.listeners.outbound6),
            std::pair(&once.inbound4, &pod.listeners.inbound4),
            std::pair(&once.inbound6, &pod.listeners.inbound6),
            std::pair(&once.hbone, &pod.listeners.hbone)}) {
        to->Reset(fcntl(from->get(), F_DUPFD_CLOEXEC, 0));
      }
    }
    return pods;
  }
  void TakeOver(std::vector<HandedPod> pods) {
    next_->With(
        [&](Enroller& enroller) { enroller.TakeOver(std::move(pods)); });
  }
  base::Status Served() {
    base::Status status;
    next_->With([&](Enroller& enroller) { status = enroller.HandedServed(); });
    return status;
  }
  std::vector<std::string> Steps() {
    return hooks_->With([&] { return std::exchange(hooks_->steps, {}); });
  }

  TestNode node_;
  std::shared_ptr<FakeHooks> hooks_;
  std::unique_ptr<RunningEnroller> agent_;
  std::unique_ptr<RunningEnroller> next_;
};

TEST_F(HandoverTest, TheNextServesOnTheVerySockets) {
  TestPod pod(node_, {.number = 2});
  TestPod client(node_, {.number = 3});
  agent_->Apply({WorkloadOf(pod, "a")});
  TakeOver(HandOver());
  next_->Apply({WorkloadOf(pod, "a")});
  ASSERT_EQ(next_->Status("a").state, PodState::kEnrolled)
      << next_->Status("a").reason;
  EXPECT_TRUE(Served().ok()) << Served();
  // What comes is in one queue, from which either takes it.
  const base::Fd to = client.Connect(At("10.77.0.2:15008"));
  ASSERT_TRUE(to.valid());
  agent_->Stop();
  EXPECT_TRUE(
      AcceptOne(next_->sink.Find("uid-a")->listeners.hbone.get()).valid());
  EXPECT_TRUE(client.Connect(At("10.77.0.2:15008")).valid());
  EXPECT_TRUE(Hooked(pod.netns().cookie()));
}

TEST_F(HandoverTest, MeanwhileTheFirstChangesNothingAndThenGoesOn) {
  next_.reset();
  TestPod pod(node_, {.number = 2});
  TestPod late(node_, {.number = 3});
  agent_->Apply({WorkloadOf(pod, "a")});
  EXPECT_EQ(HandOver().size(), 1u);
  Steps();
  agent_->Apply({WorkloadOf(late, "b")});
  Sh("ip addr add 10.55.0.1/24 dev br0");
  EXPECT_EQ(agent_->Status("a").state, PodState::kEnrolled);
  EXPECT_THAT(Steps(), IsEmpty());
  agent_->With([](Enroller& enroller) { enroller.GoOn(); });
  EXPECT_TRUE(agent_->AwaitState("b", PodState::kEnrolled));
  EXPECT_TRUE(Await([&] { return !Hooked(pod.netns().cookie()); }));
  EXPECT_THAT(hooks_->With([&] { return hooks_->node_addresses; }),
              Contains(Ip("10.55.0.1")));
}

TEST_F(HandoverTest, APodThatEndsMeanwhileIsLetGoAndItsHooksLeft) {
  next_.reset();
  TestPod pod(node_, {.number = 2});
  agent_->Apply({WorkloadOf(pod, "a")});
  const uint64_t cookie = pod.netns().cookie();
  HandOver();
  Steps();
  pod.Release();
  pod.Delete();
  EXPECT_TRUE(Await([&] { return !agent_->sink.Has("uid-a"); }));
  EXPECT_TRUE(Hooked(cookie));
  EXPECT_THAT(Steps(), IsEmpty());
}

TEST_F(HandoverTest, WhatTheNextDoesNotKnowIsNotServed) {
  TestPod pod(node_, {.number = 2});
  agent_->Apply({WorkloadOf(pod, "a")});
  TakeOver(HandOver());
  next_->Apply({});
  EXPECT_THAT(std::string(Served().message()), HasSubstr("uid-a"));
}

TEST_F(HandoverTest, APodThatCannotBeTakenIsToldWithItsReason) {
  TestPod pod(node_, {.number = 2});
  agent_->Apply({WorkloadOf(pod, "a")});
  auto pods = HandOver();
  pods[0].listeners.hbone.Reset();
  TakeOver(std::move(pods));
  next_->Apply({WorkloadOf(pod, "a")});
  EXPECT_THAT(std::string(Served().message()),
              AllOf(HasSubstr("test/a"), HasSubstr("15008")));
}

TEST_F(HandoverTest, EarlierPlaintextIsKnownToTheNextAndItsOwnIsSpared) {
  TestPod pod(node_, {.number = 2});
  TestPod client(node_, {.number = 3});
  const base::Fd app = pod.Listen(At("0.0.0.0:80"));
  const base::Fd earlier = client.Connect(At("10.77.0.2:80"));
  const base::Fd at_app = AcceptOne(app.get());
  ASSERT_TRUE(at_app.valid());
  agent_->Apply({WorkloadOf(pod, "a")});
  // A connection that the first agent carries.
  const base::Fd carried = client.Connect(At("10.77.0.2:15008"));
  const base::Fd second = client.Connect(At("10.77.0.2:80"));
  const base::Fd second_at_app = AcceptOne(app.get());
  TakeOver(HandOver());
  next_->Apply({WorkloadOf(pod, "a")});
  next_->strict = true;
  next_->Apply({WorkloadOf(pod, "a")});
  EXPECT_EQ(ReadByte(earlier.get()), -1);
  // No connection of before the capture: the agents' affair.
  ASSERT_EQ(send(second.get(), "x", 1, MSG_NOSIGNAL), 1);
  EXPECT_EQ(ReadByte(second_at_app.get()), 'x');
}

TEST_F(HandoverTest, HooksOfAnotherVersionStandUntilItsAgentYields) {
  TestPod pod(node_, {.number = 2});
  agent_->Apply({WorkloadOf(pod, "a")});
  TakeOver(HandOver());
  Steps();
  next_->Apply({WorkloadOf(pod, "a")});
  EXPECT_THAT(Steps(), Not(Contains("RemoveOtherVersions")));
  next_->With([](Enroller& enroller) { enroller.FormerYielded(); });
  EXPECT_THAT(Steps(), ElementsAre("RemoveOtherVersions"));
  next_->Apply({WorkloadOf(pod, "a")});
  EXPECT_THAT(Steps(), Not(Contains("RemoveOtherVersions")));
}

TEST_F(HandoverTest, WhoGoesOnTakesAwayWhatTheNextHadPutBesideIt) {
  TestPod pod(node_, {.number = 2});
  agent_->Apply({WorkloadOf(pod, "a")});
  HandOver();
  Steps();
  agent_->With([](Enroller& enroller) { enroller.GoOn(); });
  // Where there is one place for a hook, it has taken it.
  EXPECT_THAT(Steps(), IsSupersetOf({"AttachProbe", "RemoveOtherVersions"}));
}

TEST_F(HandoverTest, StrangersAreTheFirstOnesUntilItIsGone) {
  TestPod pod(node_, {.number = 2});
  agent_->Apply({WorkloadOf(pod, "a")});
  const uint64_t cookie = 4711;
  hooks_->With([&] { hooks_->known = {cookie}; });
  next_.reset();
  next_ = Begin();
  TakeOver(HandOver());
  next_->Apply({WorkloadOf(pod, "a")});
  const auto forgotten = [&] {
    return hooks_->With([&] { return hooks_->forgotten.contains(cookie); });
  };
  EXPECT_FALSE(forgotten());
  next_->With([](Enroller& enroller) { enroller.FormerGone(); });
  EXPECT_TRUE(forgotten());
}

}  // namespace
}  // namespace nodeward::capture
