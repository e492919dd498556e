// SPDX-License-Identifier: Apache-2.0
#include "kernel/hooks.h"

#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/str_format.h"
#include "base/text.h"
#include "kernel/link.h"
#include "kernel/netns_fixture.h"
#include "kernel/pin.h"
#include "kernel/stream_fixture.h"

namespace nodeward::kernel {
namespace {

using test::At;
using test::Dial;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Agents that come and go on one node with one pod; each has listeners of its
// own.
class HooksTest : public ::testing::Test {
 protected:
  struct Agent {
    std::unique_ptr<Hooks> hooks;
    base::Fd inbound, outbound;
  };

  Agent Start() {
    Agent agent;
    auto hooks =
        Hooks::Load({.bpf_dir = bpf_dir_, .cgroup_path = sandbox_.cgroup()});
    EXPECT_TRUE(hooks.ok()) << hooks.status().ToString();
    agent.hooks = *std::move(hooks);
    return agent;
  }
  void Enrol(Agent& agent) {
    agent.inbound = test::Listen(pod_.netns, At("127.0.0.1:15006"), "", true);
    agent.outbound = test::Listen(pod_.netns, At("0.0.0.0:15001"), "lo", true);
    uint64_t cookie = pod_.netns.cookie();
    Hooks& hooks = *agent.hooks;
    ASSERT_TRUE(hooks.AttachLookup(cookie, pod_.netns.fd()).ok());
    ASSERT_TRUE(
        hooks.SetListener(cookie, Slot::kInbound4, agent.inbound.get()).ok());
    ASSERT_TRUE(hooks.AttachProbe(cookie, pod_.ifindex, false).ok());
    ASSERT_TRUE(hooks.SetProbePorts(cookie, {{pod_.v4, 80}}).ok());
    ASSERT_TRUE(
        hooks.SetDestinations({{client_.v4, Action::kCapture, {}}}).ok());
    ASSERT_TRUE(hooks.EnableConnect(cookie, &pod_.v4, nullptr).ok());
  }
  int In() { return Dial(client_.netns, {pod_.v4, 80}).error; }
  int Out() { return Dial(pod_.netns, {client_.v4, 80}).error; }

  std::string PathOf(const std::string& rest) {
    return base::StrCat(bpf_dir_, "/v1/", rest);
  }
  bpf_link_info Link(const std::string& rest) {
    auto fd = OpenPin(PathOf(rest));
    EXPECT_TRUE(fd.ok()) << fd.status().ToString();
    return fd.ok() ? ReadLink(fd->get()).value_or(bpf_link_info{})
                   : bpf_link_info{};
  }
  std::string PodPath() {
    return absl::StrFormat("pods/%016x", pod_.netns.cookie());
  }

  test::Sandbox sandbox_;
  const std::string bpf_dir_ = sandbox_.bpf_dir() + "/nodeward";
  test::Node node_;
  test::InNetns inside_{node_.netns()};
  test::Pod pod_ = node_.AddPod(10);
  test::Pod client_ = node_.AddPod(20);
  base::Fd app_ = test::Listen(pod_.netns, At("0.0.0.0:80"));
  base::Fd peer_app_ = test::Listen(client_.netns, At("0.0.0.0:80"));
};

TEST_F(HooksTest, PinsEverythingInItsPlace) {
  Agent agent = Start();
  Enrol(agent);
  EXPECT_THAT(ListDirectory(bpf_dir_), ElementsAre("v1"));
  EXPECT_THAT(ListDirectory(PathOf("links")),
              ElementsAre("connect4", "connect6", "getpeername4",
                          "getpeername6", "sock_ops"));
  EXPECT_THAT(ListDirectory(PathOf(PodPath())),
              ElementsAre("link", "listeners"));
  EXPECT_EQ(ListDirectory(PathOf("veths")).size(), 1u);
  EXPECT_THAT(ListDirectory(PathOf("maps")), ::testing::Contains("flows"));
  struct stat info;
  ASSERT_EQ(stat(bpf_dir_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(HooksTest, WithoutAgentThePodStaysClosed) {
  {
    Agent agent = Start();
    Enrol(agent);
    EXPECT_EQ(In(), 0);
    EXPECT_EQ(Out(), 0);
  }
  EXPECT_EQ(In(), ECONNREFUSED);
  EXPECT_EQ(Out(), ECONNREFUSED);
  EXPECT_FALSE(test::HasConnection(app_.get()));
  EXPECT_FALSE(test::HasConnection(peer_app_.get()));
}

TEST_F(HooksTest, NextAgentTakesOver) {
  {
    Agent former = Start();
    Enrol(former);
  }
  bpf_link_info connect = Link("links/connect4");
  bpf_link_info lookup = Link(PodPath() + "/link");
  Agent agent = Start();
  EXPECT_THAT(agent.hooks->KnownPods(), ElementsAre(pod_.netns.cookie()));
  // Loading alone opens nothing.
  EXPECT_EQ(In(), ECONNREFUSED);
  EXPECT_EQ(Out(), ECONNREFUSED);
  Enrol(agent);
  EXPECT_EQ(In(), 0);
  EXPECT_TRUE(test::HasConnection(agent.inbound.get()));
  EXPECT_EQ(Out(), 0);
  EXPECT_TRUE(test::HasConnection(agent.outbound.get()));
  // The links are the same, with new programs.
  EXPECT_EQ(Link("links/connect4").id, connect.id);
  EXPECT_NE(Link("links/connect4").prog_id, connect.prog_id);
  EXPECT_EQ(Link(PodPath() + "/link").id, lookup.id);
  EXPECT_NE(Link(PodPath() + "/link").prog_id, lookup.prog_id);
  EXPECT_FALSE(test::HasConnection(app_.get()));
}

TEST_F(HooksTest, SecondAgentTakesOverFromALivingOne) {
  Agent former = Start();
  Enrol(former);
  Agent agent = Start();
  EXPECT_EQ(In(), 0);
  EXPECT_TRUE(test::Accept(former.inbound.get()).valid());
  Enrol(agent);
  EXPECT_EQ(In(), 0);
  EXPECT_TRUE(test::HasConnection(agent.inbound.get()));
  EXPECT_FALSE(test::HasConnection(former.inbound.get()));
  // The former one goes, and takes nothing with it.
  former = Agent();
  EXPECT_EQ(In(), 0);
}

TEST_F(HooksTest, NextAgentRemovesFormerDestinationsAndPorts) {
  {
    Agent former = Start();
    Enrol(former);
  }
  Agent agent = Start();
  ASSERT_TRUE(agent.hooks->SetDestinations({}).ok());
  EXPECT_EQ(Out(), 0);
  EXPECT_TRUE(test::HasConnection(peer_app_.get()));
  ASSERT_TRUE(agent.hooks->SetProbePorts(pod_.netns.cookie(), {}).ok());
  ASSERT_TRUE(agent.hooks->DisableConnect(pod_.netns.cookie()).ok());
  ASSERT_TRUE(agent.hooks->DetachLookup(pod_.netns.cookie()).ok());
  ASSERT_TRUE(agent.hooks->DetachProbe(pod_.ifindex).ok());
  EXPECT_THAT(agent.hooks->KnownPods(), IsEmpty());
}

TEST_F(HooksTest, ForgetUndoesAllOfAPod) {
  {
    Agent former = Start();
    Enrol(former);
  }
  Agent agent = Start();
  ASSERT_TRUE(agent.hooks->Forget(pod_.netns.cookie()).ok());
  EXPECT_THAT(agent.hooks->KnownPods(), IsEmpty());
  EXPECT_THAT(ListDirectory(PathOf("pods")), IsEmpty());
  EXPECT_THAT(ListDirectory(PathOf("veths")), IsEmpty());
  EXPECT_EQ(In(), 0);
  EXPECT_EQ(Out(), 0);
  EXPECT_TRUE(test::HasConnection(app_.get()));
  EXPECT_TRUE(test::HasConnection(peer_app_.get()));
  EXPECT_TRUE(agent.hooks->Forget(pod_.netns.cookie()).ok());
}

TEST_F(HooksTest, PodThatIsGoneCanBeForgotten) {
  Agent agent = Start();
  uint64_t cookie = 0;
  int ifindex = 0;
  {
    test::Pod gone = node_.AddPod(30);
    cookie = gone.netns.cookie();
    ifindex = gone.ifindex;
    ASSERT_TRUE(agent.hooks->AttachLookup(cookie, gone.netns.fd()).ok());
    ASSERT_TRUE(agent.hooks->AttachProbe(cookie, ifindex, false).ok());
  }
  node_.netns().Sh("while ip link show pod30 >/dev/null 2>&1; do :; done");
  EXPECT_THAT(agent.hooks->KnownPods(), ElementsAre(cookie));
  EXPECT_TRUE(agent.hooks->Forget(cookie).ok());
  EXPECT_THAT(agent.hooks->KnownPods(), IsEmpty());
  EXPECT_THAT(ListDirectory(PathOf("veths")), IsEmpty());
}

TEST_F(HooksTest, UnfinishedPinsOfADeadAgentAreRemoved) {
  ASSERT_TRUE(MakePinDirectory(bpf_dir_ + "/v1-new/pods").ok());
  { Agent former = Start(); }
  EXPECT_THAT(ListDirectory(bpf_dir_), ElementsAre("v1"));
  ASSERT_TRUE(MakePinDirectory(PathOf("pods/00000000000000ff-new")).ok());
  Agent agent = Start();
  EXPECT_THAT(ListDirectory(PathOf("pods")), IsEmpty());
}

TEST_F(HooksTest, HalfAttachedPodIsCompleted) {
  {
    Agent former = Start();
    Enrol(former);
  }
  ASSERT_TRUE(RemovePin(PathOf(PodPath() + "/link")).ok());
  ASSERT_TRUE(RemovePin(PathOf("links/connect6")).ok());
  Agent agent = Start();
  Enrol(agent);
  EXPECT_EQ(In(), 0);
  EXPECT_TRUE(test::HasConnection(agent.inbound.get()));
  EXPECT_NE(Link("links/connect6").id, 0u);
}

TEST_F(HooksTest, LinksOfAnotherCgroupAreReplaced) {
  { Agent former = Start(); }
  std::string other = sandbox_.AddCgroup("elsewhere");
  bpf_link_info before = Link("links/connect4");
  auto hooks = Hooks::Load({.bpf_dir = bpf_dir_, .cgroup_path = other});
  ASSERT_TRUE(hooks.ok()) << hooks.status().ToString();
  bpf_link_info after = Link("links/connect4");
  EXPECT_NE(after.id, before.id);
  EXPECT_EQ(after.cgroup.cgroup_id, test::Sandbox::CgroupId(other));
  // The old one is gone, not only forgotten.
  EXPECT_LT(bpf_link_get_fd_by_id(before.id), 0);
}

TEST_F(HooksTest, OutsideABpfFileSystemTheRemedyIsNamed) {
  auto hooks = Hooks::Load(
      {.bpf_dir = "/tmp/no/such/place", .cgroup_path = sandbox_.cgroup()});
  ASSERT_FALSE(hooks.ok());
  EXPECT_THAT(hooks.status().ToString(), HasSubstr("mount -t bpf bpf"));
}

TEST_F(HooksTest, FailedFirstLoadLeavesNothing) {
  auto hooks =
      Hooks::Load({.bpf_dir = bpf_dir_, .cgroup_path = "/no/such/cgroup"});
  ASSERT_FALSE(hooks.ok());
  EXPECT_THAT(hooks.status().ToString(), HasSubstr("/no/such/cgroup"));
  EXPECT_THAT(ListDirectory(bpf_dir_), IsEmpty());
}

}  // namespace
}  // namespace nodeward::kernel
