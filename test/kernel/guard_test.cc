// SPDX-License-Identifier: Apache-2.0
#include "kernel/guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/text.h"
#include "kernel/hooks.h"
#include "kernel/netns_fixture.h"
#include "kernel/pin.h"
#include "kernel/stream_fixture.h"

namespace nodeward::kernel {
namespace {

using test::At;
using test::Dial;
using ::testing::Contains;
using ::testing::Not;

// A guarded pod, one of the mesh and one outside of it. Nothing captures the
// guarded one's connections, so each goes straight to the wire.
class GuardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    inside_ = std::make_unique<test::InNetns>(node_.netns());
    Load();
    Know();
    base::Status status = hooks_->AttachGuard(cookie_, pod_.ifindex);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  void Load() {
    auto hooks =
        Hooks::Load({.bpf_dir = bpf_dir_, .cgroup_path = sandbox_.cgroup()});
    ASSERT_TRUE(hooks.ok()) << hooks.status().ToString();
    hooks_ = *std::move(hooks);
  }
  void Know() {
    Destination four, six;
    four.address = peer_.v4;
    six.address = peer_.v6;
    four.of_mesh = six.of_mesh = true;
    ASSERT_TRUE(hooks_->SetDestinations({four, six}).ok());
  }
  uint64_t Refused() { return hooks_->Counters().at("guard_refused"); }

  // Does connect() of `fd` end at the guard?
  bool IsRefused(const base::Fd& fd, const base::Endpoint& to) {
    const uint64_t before = Refused();
    if (test::Connect(fd.get(), to) != EINPROGRESS) return false;
    pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
    while (Refused() == before)
      if (poll(&wait, 1, 1) != 0) return false;
    return true;
  }
  bool IsRefused(const base::Endpoint& to) { return IsRefused(Socket(to), to); }
  base::Fd Socket(const base::Endpoint& to) const {
    return pod_.netns.Socket(to.address.family(), SOCK_STREAM | SOCK_NONBLOCK);
  }

  test::Sandbox sandbox_;
  const std::string bpf_dir_ = sandbox_.bpf_dir() + "/nodeward";
  test::Node node_;
  test::Pod pod_ = node_.AddPod(10);
  test::Pod peer_ = node_.AddPod(20);
  test::Pod other_ = node_.AddPod(30);
  const uint64_t cookie_ = pod_.netns.cookie();
  std::unique_ptr<test::InNetns> inside_;
  std::unique_ptr<Hooks> hooks_;
  base::Fd peer_app_ = test::Listen(peer_.netns, At("[::]:80"));
  base::Fd peer_hbone_ = test::Listen(peer_.netns, At("[::]:15008"));
  base::Fd other_app_ = test::Listen(other_.netns, At("[::]:80"));
};

TEST_F(GuardTest, NoPlaintextToTheMesh) {
  EXPECT_TRUE(IsRefused({peer_.v4, 80}));
  EXPECT_TRUE(IsRefused({peer_.v6, 80}));
  EXPECT_FALSE(test::HasConnection(peer_app_.get()));
  EXPECT_EQ(Dial(pod_.netns, {peer_.v4, 15008}).error, 0);
  EXPECT_EQ(Dial(pod_.netns, {peer_.v6, 15008}).error, 0);
  EXPECT_EQ(Dial(pod_.netns, {other_.v4, 80}).error, 0);
  EXPECT_EQ(Dial(pod_.netns, {other_.v6, 80}).error, 0);
  // Others are not held.
  EXPECT_EQ(Dial(other_.netns, {peer_.v4, 80}).error, 0);
}

TEST_F(GuardTest, MarksAndDevicesDoNotMatter) {
  base::Fd fd = Socket({peer_.v4, 80});
  for (int mark : {0x111, 0x539}) {
    fd = Socket({peer_.v4, 80});
    ASSERT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark)),
              0);
    ASSERT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, "eth0", 4), 0);
    EXPECT_TRUE(IsRefused(fd, {peer_.v4, 80})) << mark;
  }
  // The agent's own neither: to the mesh it speaks on 15008.
  fd = Socket({peer_.v4, 80});
  ASSERT_TRUE(hooks_->TagAgentSocket(fd.get()).ok());
  EXPECT_TRUE(IsRefused(fd, {peer_.v4, 80}));
}

TEST_F(GuardTest, ThePodsOwnServerAnswers) {
  base::Fd app = test::Listen(pod_.netns, At("[::]:80"));
  for (const base::IpAddress& ip : {pod_.v4, pod_.v6}) {
    test::Connection client = Dial(peer_.netns, {ip, 80});
    EXPECT_EQ(client.error, 0);
    base::Fd server = test::Accept(app.get());
    ASSERT_TRUE(test::Send(client.fd.get(), "ping"));
    EXPECT_EQ(test::Receive(server.get()), "ping");
    ASSERT_TRUE(test::Send(server.get(), "pong"));
    EXPECT_EQ(test::Receive(client.fd.get()), "pong");
  }
}

TEST_F(GuardTest, WhereNobodyKnowsTheAgentMay) {
  ASSERT_TRUE(hooks_
                  ->SetMeshCidrs({*base::Cidr::Parse("10.77.0.0/16"),
                                  *base::Cidr::Parse("fd77::/16")})
                  .ok());
  for (const base::IpAddress& ip : {other_.v4, other_.v6}) {
    EXPECT_TRUE(IsRefused({ip, 80}));
    base::Fd own = Socket({ip, 80});
    ASSERT_TRUE(hooks_->TagAgentSocket(own.get()).ok());
    EXPECT_FALSE(IsRefused(own, {ip, 80}));
    EXPECT_TRUE(test::Accept(other_app_.get()).valid());
  }
}

TEST_F(GuardTest, OutlivesTheAgentAndIsTakenOver) {
  hooks_.reset();
  Load();
  EXPECT_THAT(hooks_->KnownPods(), Contains(cookie_));
  EXPECT_TRUE(IsRefused({peer_.v4, 80}));
  ASSERT_TRUE(hooks_->AttachGuard(cookie_, pod_.ifindex).ok());
  EXPECT_TRUE(IsRefused({peer_.v4, 80}));
  ASSERT_TRUE(hooks_->Forget(cookie_).ok());
  EXPECT_THAT(hooks_->KnownPods(), Not(Contains(cookie_)));
  EXPECT_EQ(Dial(pod_.netns, {peer_.v4, 80}).error, 0);
}

TEST_F(GuardTest, ComesOffAndMayBeOffAlready) {
  ASSERT_TRUE(hooks_->DetachGuard(cookie_).ok());
  EXPECT_EQ(Dial(pod_.netns, {peer_.v4, 80}).error, 0);
  EXPECT_TRUE(hooks_->DetachGuard(cookie_).ok());
  EXPECT_THAT(ListDirectory(bpf_dir_ + "/v1/guards"), ::testing::IsEmpty());
}

TEST_F(GuardTest, StandsOnOneInterfaceOfAPod) {
  ASSERT_TRUE(hooks_->AttachGuard(cookie_, other_.ifindex).ok());
  EXPECT_EQ(Dial(pod_.netns, {peer_.v4, 80}).error, 0);
  ASSERT_TRUE(hooks_->AttachGuard(cookie_, pod_.ifindex).ok());
  EXPECT_TRUE(IsRefused({peer_.v4, 80}));
  EXPECT_EQ(Dial(other_.netns, {peer_.v4, 80}).error, 0);
}

TEST_F(GuardTest, NamesTheInterfaceThatIsNone) {
  base::Status status = hooks_->AttachGuard(1, 999999);
  EXPECT_THAT(status.ToString(),
              ::testing::HasSubstr("attach guard to interface 999999"));
  EXPECT_THAT(hooks_->KnownPods(), Not(Contains(1u)));
}

// A node without tcx: the same by a filter.
TEST_F(GuardTest, WithAFilter) {
  ASSERT_TRUE(hooks_->DetachGuard(cookie_).ok());
  auto maps = SharedMaps::Open(bpf_dir_ + "/v1/maps");
  ASSERT_TRUE(maps.ok());
  auto guard = Guard::Load(*maps, Features{}, bpf_dir_ + "/v1/guards");
  ASSERT_TRUE(guard.ok()) << guard.status().ToString();
  base::Status status = guard->Attach(cookie_, pod_.ifindex);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_THAT(guard->Pods(), Contains(cookie_));
  EXPECT_TRUE(IsRefused({peer_.v4, 80}));
  ASSERT_TRUE(guard->Detach(cookie_).ok());
  EXPECT_EQ(Dial(pod_.netns, {peer_.v4, 80}).error, 0);
  ASSERT_TRUE(guard->Attach(cookie_, pod_.ifindex).ok());
  // Whoever removes it knows but the name of the pin.
  ASSERT_TRUE(RemovePins(bpf_dir_).ok());
  EXPECT_EQ(Dial(pod_.netns, {peer_.v4, 80}).error, 0);
}

}  // namespace
}  // namespace nodeward::kernel
