// SPDX-License-Identifier: Apache-2.0
#include "capture/node_enroller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "capture/fake_hooks.h"
#include "capture/node_fixture.h"
#include "capture/steering.h"

namespace nodeward::capture {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class NodeEnrollerTest : public testing::Test {
 protected:
  NodeEnrollerTest() : hooks_(std::make_shared<FakeHooks>()) { Begin(); }
  ~NodeEnrollerTest() override { agent_.reset(); }

  void Begin() {
    agent_ = std::make_unique<RunningEnroller>(
        [this](io::Loop& loop, Options options, PodSink* sink) {
          return NodeEnroller::Create(loop, std::move(options), sink, hooks_);
        },
        Options{});
  }
  bool Hooked(uint64_t cookie) {
    return hooks_->With([&] {
      return hooks_->lookups.contains(cookie) ||
             hooks_->connects.contains(cookie) ||
             hooks_->probes.contains(cookie);
    });
  }
  bool LookedUp(uint64_t cookie) {
    return hooks_->With([&] { return hooks_->lookups.contains(cookie); });
  }
  bool Connected(uint64_t cookie) {
    return hooks_->With([&] { return hooks_->connects.contains(cookie); });
  }
  bool Steered(const TestPod& pod) {
    return *HasSteering(pod.netns(), node_.netns());
  }
  static bool Exists(const std::string& interface) {
    return system(("ip link show " + interface + " >/dev/null 2>&1").c_str()) ==
           0;
  }

  TestNode node_;
  std::shared_ptr<FakeHooks> hooks_;
  std::unique_ptr<RunningEnroller> agent_;
};

TEST_F(NodeEnrollerTest, TellsTheKernelAboutTheNode) {
  EXPECT_THAT(hooks_->With([&] { return hooks_->node_addresses; }),
              testing::IsSupersetOf({Ip("10.77.0.1"), Ip("fd77::1")}));
  EXPECT_FALSE(agent_->Kubelet().found);
  EXPECT_THAT(agent_->Kubelet().reason, HasSubstr("nothing listens"));
  Sh("ip addr add 10.55.0.1/24 dev br0");
  EXPECT_TRUE(Await([&] {
    return hooks_->With([&] {
      return testing::Value(hooks_->node_addresses, Contains(Ip("10.55.0.1")));
    });
  }));
}

TEST_F(NodeEnrollerTest, EnrolsPodsOfThisNode) {
  TestPod pod(node_, {.number = 2});
  TestPod client(node_, {.number = 3});
  model::Workload there = WorkloadOf(client, "there");
  there.node = "elsewhere";
  agent_->Apply({WorkloadOf(pod, "a"), there});
  const PodStatus status = agent_->Status("a");
  EXPECT_EQ(status.state, PodState::kEnrolled) << status.reason;
  EXPECT_EQ(status.reason, "");
  EXPECT_EQ(status.netns_cookie, pod.netns().cookie());
  EXPECT_EQ(status.host_interface, "v2");
  EXPECT_FALSE(status.probe_exemption);  // no kubelet here
  EXPECT_EQ(agent_->Status("there").reason, "absent");
  EXPECT_FALSE(Hooked(client.netns().cookie()));
  EXPECT_EQ(hooks_->destinations.size(), 4u);
  EXPECT_TRUE(client.Connect(At("10.77.0.2:15008")).valid());
  // Again changes nothing.
  const size_t steps = hooks_->With([&] { return hooks_->steps.size(); });
  agent_->Apply({WorkloadOf(pod, "a"), there});
  EXPECT_EQ(hooks_->With([&] { return hooks_->steps.size(); }), steps + 1);
  EXPECT_THAT(agent_->sink.Calls(), ElementsAre("Add uid-a"));
}

TEST_F(NodeEnrollerTest, LabelRemovedDrains) {
  TestPod pod(node_, {});
  const uint64_t cookie = pod.netns().cookie();
  agent_->sink.hold_drains = true;
  agent_->Apply({WorkloadOf(pod, "a")});
  model::Workload out = WorkloadOf(pod, "a");
  out.membership = model::Membership::kNotOptedIn;
  out.opted_in = false;
  agent_->Apply({out});
  EXPECT_EQ(agent_->Status("a").state, PodState::kDraining);
  EXPECT_FALSE(LookedUp(cookie));
  EXPECT_FALSE(Connected(cookie));
  EXPECT_TRUE(Steered(pod));
  agent_->sink.Answer();
  EXPECT_TRUE(agent_->AwaitState("a", PodState::kSkipped));
  EXPECT_THAT(agent_->Status("a").reason,
              AllOf(HasSubstr("not opted in"), HasSubstr("a label")));
  EXPECT_FALSE(Steered(pod));
  EXPECT_FALSE(Hooked(cookie));
  EXPECT_THAT(agent_->sink.Calls(), ElementsAre("Add uid-a", "Drain uid-a"));
  // And in again.
  agent_->Apply({WorkloadOf(pod, "a")});
  EXPECT_EQ(agent_->Status("a").state, PodState::kEnrolled);
}

TEST_F(NodeEnrollerTest, WantedAgainWhileDraining) {
  TestPod pod(node_, {});
  agent_->sink.hold_drains = true;
  agent_->Apply({WorkloadOf(pod, "a")});
  model::Workload out = WorkloadOf(pod, "a");
  out.membership = model::Membership::kNotOptedIn;
  out.opted_in = false;
  agent_->Apply({out});
  agent_->Apply({WorkloadOf(pod, "a")});
  EXPECT_TRUE(agent_->AwaitState("a", PodState::kEnrolled));
  EXPECT_THAT(agent_->sink.Calls(), ElementsAre("Add uid-a", "Drain uid-a",
                                                "Kill uid-a", "Add uid-a"));
  // The drain's late answer is void.
  agent_->sink.Answer();
  EXPECT_EQ(agent_->Status("a").state, PodState::kEnrolled);
  EXPECT_TRUE(agent_->sink.Has("uid-a"));
}

TEST_F(NodeEnrollerTest, PodGoneFromTheSnapshotIsForgottenAtOnce) {
  TestPod pod(node_, {});
  agent_->Apply({WorkloadOf(pod, "a")});
  pod.Release();
  agent_->Apply({});
  EXPECT_TRUE(Await([&] { return !agent_->sink.Has("uid-a"); }));
  EXPECT_TRUE(hooks_->With([&] { return hooks_->lookups.empty(); }));
  EXPECT_EQ(agent_->Status("a").reason, "absent");
  // Nothing of ours holds the namespace: with its name it goes, and its veth.
  pod.Delete();
  EXPECT_TRUE(Await([&] { return !Exists("v2"); }));
}

TEST_F(NodeEnrollerTest, NamespaceGoneEndsThePod) {
  TestPod pod(node_, {});
  const uint64_t cookie = pod.netns().cookie();
  agent_->Apply({WorkloadOf(pod, "a")});
  pod.Release();
  pod.Delete();
  EXPECT_TRUE(Await([&] { return !agent_->sink.Has("uid-a"); }));
  EXPECT_TRUE(Await([&] { return !Exists("v2"); }));
  EXPECT_FALSE(Hooked(cookie));
  EXPECT_TRUE(agent_->AwaitState("a", PodState::kFailed));
  EXPECT_THAT(agent_->Status("a").reason, HasSubstr("gone"));
}

TEST_F(NodeEnrollerTest, NamespaceReplacedIsEnrolledAnew) {
  TestPod pod(node_, {});
  agent_->Apply({WorkloadOf(pod, "a")});
  const uint64_t before = agent_->Status("a").netns_cookie;
  Sh("ip netns del " + pod.name() + " && ip netns add " + pod.name() +
     " && ip -n " + pod.name() + " link set lo up");
  EXPECT_TRUE(Await([&] {
    const PodStatus status = agent_->Status("a");
    return status.state == PodState::kEnrolled && status.netns_cookie != before;
  }));
  EXPECT_FALSE(Hooked(before));
  EXPECT_THAT(agent_->Status("a").reason, HasSubstr("probes are refused"));
}

TEST_F(NodeEnrollerTest, EndedPodStaysClosedWhileItLives) {
  TestPod pod(node_, {});
  const uint64_t cookie = pod.netns().cookie();
  agent_->Apply({WorkloadOf(pod, "a")});
  model::Workload ended = WorkloadOf(pod, "a");
  ended.membership = model::Membership::kTerminal;
  agent_->Apply({ended});
  EXPECT_TRUE(agent_->AwaitState("a", PodState::kSkipped));
  EXPECT_FALSE(agent_->sink.Has("uid-a"));
  EXPECT_TRUE(LookedUp(cookie));
  EXPECT_TRUE(Connected(cookie));
  pod.Release();
  pod.Delete();
  EXPECT_TRUE(Await([&] { return !Hooked(cookie); }));
  EXPECT_TRUE(Await([&] { return !Exists("v2"); }));
}

TEST_F(NodeEnrollerTest, EndedPodWithoutNamespaceIsNoFailure) {
  TestPod pod(node_, {});
  model::Workload ended = WorkloadOf(pod, "a");
  ended.membership = model::Membership::kTerminal;
  ended.netns_path = "/run/netns/long-gone";
  agent_->Apply({ended});
  EXPECT_EQ(agent_->Status("a").state, PodState::kSkipped);
}

TEST_F(NodeEnrollerTest, EndedPodMakesWayForItsSuccessor) {
  TestPod pod(node_, {});
  const uint64_t cookie = pod.netns().cookie();
  model::Workload ended = WorkloadOf(pod, "a");
  ended.membership = model::Membership::kTerminal;
  agent_->Apply({ended});
  EXPECT_TRUE(LookedUp(cookie));
  agent_->Apply({ended, WorkloadOf(pod, "b")});
  EXPECT_EQ(agent_->Status("a").state, PodState::kSkipped);
  EXPECT_EQ(agent_->Status("b").state, PodState::kEnrolled)
      << agent_->Status("b").reason;
  EXPECT_THAT(hooks_->forgotten, IsEmpty());
  agent_->Apply({WorkloadOf(pod, "b")});
  EXPECT_EQ(agent_->Status("b").state, PodState::kEnrolled);
  EXPECT_TRUE(LookedUp(cookie));
}

TEST_F(NodeEnrollerTest, DisputedPodIsClosedAndFailed) {
  TestPod pod(node_, {});
  model::Workload disputed = WorkloadOf(pod, "a");
  disputed.membership = model::Membership::kConflict;
  agent_->Apply({disputed});
  EXPECT_EQ(agent_->Status("a").state, PodState::kFailed);
  EXPECT_TRUE(LookedUp(pod.netns().cookie()));
  agent_->Apply({WorkloadOf(pod, "a")});
  EXPECT_EQ(agent_->Status("a").state, PodState::kEnrolled);
}

TEST_F(NodeEnrollerTest, OthersAreSkippedOrPendingWithTheReason) {
  TestPod pod(node_, {});
  model::Workload host = WorkloadOf(pod, "host");
  host.membership = model::Membership::kHostNetwork;
  host.opted_in = false;
  model::Workload no_path = WorkloadOf(pod, "no-path");
  no_path.netns_path = "";
  model::Workload no_ip = WorkloadOf(pod, "no-ip");
  no_ip.ips = {};
  agent_->Apply({host, no_path, no_ip});
  EXPECT_EQ(agent_->Status("host").state, PodState::kSkipped);
  EXPECT_EQ(agent_->Status("no-path").state, PodState::kPending);
  EXPECT_THAT(agent_->Status("no-path").reason, HasSubstr("nodeward.io/netns"));
  EXPECT_EQ(agent_->Status("no-ip").state, PodState::kPending);
  EXPECT_THAT(agent_->Status("no-ip").reason, HasSubstr("no address"));
}

TEST_F(NodeEnrollerTest, TheNodesOwnNamespaceIsNeverTouched) {
  TestPod pod(node_, {});
  model::Workload wrong = WorkloadOf(pod, "a");
  wrong.netns_path = "/proc/thread-self/ns/net";
  agent_->Apply({wrong});
  EXPECT_EQ(agent_->Status("a").state, PodState::kFailed);
  EXPECT_THAT(agent_->Status("a").reason, HasSubstr("node's own"));
  EXPECT_FALSE(Hooked(node_.netns().cookie()));
  EXPECT_FALSE(*HasSteering(node_.netns(), node_.netns()));
}

TEST_F(NodeEnrollerTest, ANamespaceHasOnePod) {
  TestPod pod(node_, {});
  agent_->Apply({WorkloadOf(pod, "a"), WorkloadOf(pod, "b")});
  EXPECT_EQ(agent_->Status("a").state, PodState::kEnrolled);
  EXPECT_EQ(agent_->Status("b").state, PodState::kFailed);
  EXPECT_THAT(agent_->Status("b").reason, HasSubstr("test/a"));
  // The successor gets it as soon as the first has left.
  agent_->sink.hold_kills = true;
  agent_->Apply({WorkloadOf(pod, "b")});
  EXPECT_EQ(agent_->Status("b").state, PodState::kFailed);
  agent_->sink.hold_kills = false;
  agent_->sink.Answer();
  EXPECT_TRUE(agent_->AwaitState("b", PodState::kEnrolled));
}

TEST_F(NodeEnrollerTest, TakenPortIsNamedAndTriedAgain) {
  TestPod pod(node_, {.number = 2});
  TestPod other(node_, {.number = 3});
  base::Fd taken = pod.Listen(At("0.0.0.0:15008"));
  agent_->Apply({WorkloadOf(pod, "a"), WorkloadOf(other, "b")});
  EXPECT_EQ(agent_->Status("a").state, PodState::kFailed);
  EXPECT_THAT(agent_->Status("a").reason, HasSubstr("15008"));
  EXPECT_EQ(agent_->Status("b").state, PodState::kEnrolled);
  EXPECT_FALSE(Hooked(pod.netns().cookie()));  // PERMISSIVE: as it was
  taken.Reset();
  EXPECT_TRUE(agent_->AwaitState("a", PodState::kEnrolled));
}

TEST_F(NodeEnrollerTest, FailedPodIsClosedWherePlaintextIsForbidden) {
  TestPod pod(node_, {});
  const uint64_t cookie = pod.netns().cookie();
  agent_->strict = true;
  base::Fd taken = pod.Listen(At("0.0.0.0:15006"));
  agent_->Apply({WorkloadOf(pod, "a")});
  EXPECT_THAT(agent_->Status("a").reason, HasSubstr("closed until then"));
  EXPECT_TRUE(LookedUp(cookie));
  EXPECT_TRUE(hooks_->With([&] { return hooks_->probes[cookie].second; }));
  // Policy is relaxed: open again.
  agent_->strict = false;
  agent_->Apply({WorkloadOf(pod, "a")});
  EXPECT_FALSE(Hooked(cookie));
  agent_->strict = true;
  agent_->Apply({WorkloadOf(pod, "a")});
  EXPECT_TRUE(LookedUp(cookie));
  taken.Reset();
  EXPECT_TRUE(agent_->AwaitState("a", PodState::kEnrolled));
  EXPECT_FALSE(hooks_->With([&] { return hooks_->probes[cookie].second; }));
}

TEST_F(NodeEnrollerTest, ForbiddenConnectionsFromBeforeAreDestroyed) {
  TestPod pod(node_, {.number = 2});
  TestPod client(node_, {.number = 3});
  const base::Fd listener = pod.Listen(At("[::]:80"));
  const base::Fd early = client.Connect(At("10.77.0.2:80"));
  ASSERT_TRUE(early.valid());
  agent_->Apply({WorkloadOf(pod, "a")});
  char byte;
  EXPECT_LT(recv(early.get(), &byte, 1, MSG_DONTWAIT), 0);
  EXPECT_EQ(errno, EAGAIN);
  agent_->strict = true;
  agent_->Apply({WorkloadOf(pod, "a")});
  errno = 0;
  EXPECT_EQ(ReadByte(early.get()), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(NodeEnrollerTest, ChangedAddressesAndProbePortsAreFollowed) {
  TestPod pod(node_, {});
  const uint64_t cookie = pod.netns().cookie();
  agent_->Apply({WorkloadOf(pod, "a")});
  model::Workload changed = WorkloadOf(pod, "a");
  changed.ips = {pod.v4()};
  changed.probe_ports = {9090};
  agent_->Apply({changed});
  EXPECT_EQ(hooks_->With([&] { return hooks_->connects[cookie]; }),
            "10.77.0.2 -");
  EXPECT_THAT(hooks_->With([&] { return hooks_->probe_ports[cookie]; }),
              ElementsAre(At("10.77.0.2:9090")));
}

TEST_F(NodeEnrollerTest, IncompleteObjectLeavesAServedPodAlone) {
  TestPod pod(node_, {});
  agent_->Apply({WorkloadOf(pod, "a")});
  model::Workload incomplete = WorkloadOf(pod, "a");
  incomplete.ips = {};
  agent_->Apply({incomplete});
  EXPECT_EQ(agent_->Status("a").state, PodState::kEnrolled);
  EXPECT_TRUE(agent_->sink.Has("uid-a"));
}

TEST_F(NodeEnrollerTest, LateStepFailureIsShownAndMadeUpFor) {
  TestPod pod(node_, {});
  hooks_->Fail("EnableConnect");
  agent_->Apply({WorkloadOf(pod, "a")});
  EXPECT_EQ(agent_->Status("a").state, PodState::kFailed);
  EXPECT_THAT(agent_->Status("a").reason, HasSubstr("EnableConnect"));
  hooks_->Fail("EnableConnect", false);
  EXPECT_TRUE(agent_->AwaitState("a", PodState::kEnrolled));
  EXPECT_THAT(agent_->sink.Calls(), ElementsAre("Add uid-a"));
}

TEST_F(NodeEnrollerTest, ANewAgentAdoptsTheWantedAndForgetsTheRest) {
  TestPod kept(node_, {.number = 2});
  TestPod unlabelled(node_, {.number = 3});
  TestPod deleted(node_, {.number = 4});
  agent_->Apply({WorkloadOf(kept, "kept"), WorkloadOf(unlabelled, "out"),
                 WorkloadOf(deleted, "deleted")});
  agent_->Stop();
  const uint64_t gone = 123456789;
  hooks_->known = {kept.netns().cookie(), unlabelled.netns().cookie(),
                   deleted.netns().cookie(), gone};
  hooks_->forgotten.clear();
  Begin();
  EXPECT_THAT(hooks_->forgotten, IsEmpty());  // not before it knows what for
  model::Workload out = WorkloadOf(unlabelled, "out");
  out.membership = model::Membership::kNotOptedIn;
  out.opted_in = false;
  agent_->Apply({WorkloadOf(kept, "kept"), out});
  EXPECT_EQ(agent_->Status("kept").state, PodState::kEnrolled);
  EXPECT_THAT(hooks_->forgotten,
              testing::UnorderedElementsAre(unlabelled.netns().cookie(),
                                            deleted.netns().cookie(), gone));
  EXPECT_TRUE(Steered(kept));
  EXPECT_FALSE(Steered(unlabelled));
  EXPECT_FALSE(Steered(deleted));
}

TEST_F(NodeEnrollerTest, AdoptedPodThatFailsStaysClosed) {
  TestPod pod(node_, {});
  agent_->Stop();
  hooks_->known = {pod.netns().cookie()};
  hooks_->lookups = {pod.netns().cookie()};
  Begin();
  const base::Fd taken = pod.Listen(At("0.0.0.0:15006"));
  agent_->Apply({WorkloadOf(pod, "a")});
  EXPECT_EQ(agent_->Status("a").state, PodState::kFailed);
  EXPECT_TRUE(LookedUp(pod.netns().cookie()));
}

TEST_F(NodeEnrollerTest, RoundsLeakNothing) {
  TestPod pod(node_, {.number = 2});
  TestPod other(node_, {.number = 3});
  model::Workload out = WorkloadOf(pod, "a");
  out.membership = model::Membership::kNotOptedIn;
  out.opted_in = false;
  const auto round = [&] {
    agent_->Apply({WorkloadOf(pod, "a"), WorkloadOf(other, "b")});
    ASSERT_TRUE(agent_->AwaitState("a", PodState::kEnrolled));
    ASSERT_TRUE(agent_->AwaitState("b", PodState::kEnrolled));
    agent_->Apply({out});
    ASSERT_TRUE(agent_->AwaitState("a", PodState::kSkipped));
    ASSERT_TRUE(Await([&] { return !agent_->sink.Has("uid-b"); }));
  };
  round();
  agent_->Status("a");
  const int before = OpenFds();
  for (int i = 0; i < 50; ++i) round();
  EXPECT_TRUE(Await([&] { return OpenFds() == before; }))
      << before << " then " << OpenFds();
  EXPECT_TRUE(hooks_->With([&] {
    return hooks_->lookups.empty() && hooks_->connects.empty() &&
           hooks_->probes.empty() && hooks_->probe_ports.empty();
  }));
}

}  // namespace
}  // namespace nodeward::capture
