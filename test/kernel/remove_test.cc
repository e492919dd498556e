// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/text.h"
#include "kernel/hooks.h"
#include "kernel/link.h"
#include "kernel/netns_fixture.h"
#include "kernel/pin.h"
#include "kernel/stream_fixture.h"
#include "kernel/veth.h"

namespace nodeward::kernel {
namespace {

using test::At;
using test::Dial;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;

class RemoveTest : public ::testing::Test {
 protected:
  std::unique_ptr<Hooks> Load() {
    auto hooks =
        Hooks::Load({.bpf_dir = bpf_dir_, .cgroup_path = sandbox_.cgroup()});
    EXPECT_TRUE(hooks.ok()) << hooks.status().ToString();
    return *std::move(hooks);
  }
  std::vector<std::string> Remove() {
    auto removed = RemovePins(bpf_dir_);
    EXPECT_TRUE(removed.ok()) << removed.status().ToString();
    return removed.ok() ? *removed : std::vector<std::string>();
  }

  test::Sandbox sandbox_;
  const std::string bpf_dir_ = sandbox_.bpf_dir() + "/nodeward";
  test::Node node_;
  test::InNetns inside_{node_.netns()};
  test::Pod pod_ = node_.AddPod(10);
  test::Pod client_ = node_.AddPod(20);
};

TEST_F(RemoveTest, LeavesNothingEvenWhileAnAgentLives) {
  std::unique_ptr<Hooks> hooks = Load();
  uint64_t cookie = pod_.netns.cookie();
  ASSERT_TRUE(hooks->AttachLookup(cookie, pod_.netns.fd()).ok());
  ASSERT_TRUE(hooks->AttachProbe(cookie, pod_.ifindex, true).ok());
  ASSERT_TRUE(hooks->SetDestinations({{client_.v4, Action::kRefuse, {}}}).ok());
  ASSERT_TRUE(hooks->EnableConnect(cookie, &pod_.v4, nullptr).ok());
  base::Fd app = test::Listen(pod_.netns, At("0.0.0.0:80"));
  base::Fd peer = test::Listen(client_.netns, At("0.0.0.0:80"));
  EXPECT_EQ(Dial(pod_.netns, {client_.v4, 80}).error, ECONNREFUSED);
  // What a live agent might hold, so that unpinning alone does not detach.
  auto held = OpenPin(bpf_dir_ + "/v1/links/connect4");
  ASSERT_TRUE(held.ok());

  std::vector<std::string> removed = Remove();
  EXPECT_THAT(removed, Contains(EndsWith("/v1/links/connect4")));
  EXPECT_THAT(removed, Contains(EndsWith("/link")));
  EXPECT_THAT(removed, Contains(EndsWith("/v1/maps/flows")));
  EXPECT_FALSE(PathExists(bpf_dir_));
  EXPECT_EQ(Dial(pod_.netns, {client_.v4, 80}).error, 0);
  EXPECT_TRUE(test::HasConnection(peer.get()));
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 80}).error, 0);
  EXPECT_TRUE(test::HasConnection(app.get()));
}

TEST_F(RemoveTest, AnotherVersionGivesWayToOneThatStands) {
  const uint64_t cookie = pod_.netns.cookie();
  const base::Fd peer = test::Listen(client_.netns, At("0.0.0.0:80"));
  const auto refuse = [&](Hooks& hooks) {
    ASSERT_TRUE(
        hooks.SetDestinations({{client_.v4, Action::kRefuse, {}}}).ok());
    ASSERT_TRUE(hooks.EnableConnect(cookie, &pod_.v4, nullptr).ok());
  };
  std::unique_ptr<Hooks> hooks = Load();
  refuse(*hooks);
  hooks.reset();
  ASSERT_TRUE(RenamePin(bpf_dir_ + "/v1", bpf_dir_ + "/v0").ok());
  hooks = Load();
  EXPECT_EQ(Dial(pod_.netns, {client_.v4, 80}).error, ECONNREFUSED);
  refuse(*hooks);
  const auto removed = hooks->RemoveOtherVersions();
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_THAT(*removed, Contains(EndsWith("/v0/links/connect4")));
  EXPECT_FALSE(PathExists(bpf_dir_ + "/v0"));
  EXPECT_TRUE(PathExists(bpf_dir_ + "/v1/links/connect4"));
  EXPECT_EQ(Dial(pod_.netns, {client_.v4, 80}).error, ECONNREFUSED);
  ASSERT_TRUE(hooks->DisableConnect(cookie).ok());
  EXPECT_EQ(Dial(pod_.netns, {client_.v4, 80}).error, 0);
  // A second time there is nothing to do.
  EXPECT_THAT(*hooks->RemoveOtherVersions(), IsEmpty());
}

TEST_F(RemoveTest, ProgramsAreGoneWithTheLastHolder) {
  std::unique_ptr<Hooks> hooks = Load();
  auto link = OpenPin(bpf_dir_ + "/v1/links/connect4");
  ASSERT_TRUE(link.ok());
  uint32_t program = ReadLink(link->get())->prog_id;
  link->Reset();
  hooks.reset();
  EXPECT_FALSE(Remove().empty());
  // Programs are freed after a grace period.
  for (int fd; (fd = bpf_prog_get_fd_by_id(program)) >= 0;) close(fd);
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(RemoveTest, FiltersAreDeletedToo) {
  std::unique_ptr<Hooks> hooks = Load();
  // A node without tcx: the pin is only the program, the filter is elsewhere.
  ASSERT_TRUE(hooks->AttachProbe(7, pod_.ifindex, true).ok());
  std::string veths = bpf_dir_ + "/v1/veths";
  auto link = OpenPin(base::StrCat(veths, "/", pod_.ifindex));
  ASSERT_TRUE(link.ok()) << "this kernel has no tcx (before 6.6)";
  base::Fd program(bpf_prog_get_fd_by_id(ReadLink(link->get())->prog_id));
  ASSERT_TRUE(VethHook(veths, pod_.ifindex).Attach(program.get(), false).ok());
  base::Fd app = test::Listen(pod_.netns, At("0.0.0.0:80"));
  Remove();
  EXPECT_EQ(Dial(client_.netns, {pod_.v4, 80}).error, 0);
  node_.netns().Sh(
      base::StrCat("test -z \"$(tc filter show dev ", pod_.veth, " egress)\""));
}

TEST_F(RemoveTest, OtherPinsInTheFolderStay) {
  { std::unique_ptr<Hooks> hooks = Load(); }
  ASSERT_TRUE(MakePinDirectory(bpf_dir_ + "/others").ok());
  ASSERT_TRUE(MakePinDirectory(bpf_dir_ + "/v7/pods").ok());
  ASSERT_TRUE(MakePinDirectory(bpf_dir_ + "/v1-new").ok());
  Remove();
  EXPECT_THAT(ListDirectory(bpf_dir_), ElementsAre("others"));
}

TEST_F(RemoveTest, NothingThereIsFine) {
  EXPECT_THAT(Remove(), IsEmpty());
  auto removed = RemovePins("/no/such/folder");
  ASSERT_TRUE(removed.ok());
  EXPECT_THAT(*removed, IsEmpty());
}

TEST_F(RemoveTest, AgainAfterRemovalEverythingStarts) {
  { std::unique_ptr<Hooks> hooks = Load(); }
  EXPECT_FALSE(Remove().empty());
  std::unique_ptr<Hooks> hooks = Load();
  EXPECT_THAT(ListDirectory(bpf_dir_), ElementsAre("v1"));
  EXPECT_THAT(hooks->KnownPods(), IsEmpty());
}

}  // namespace
}  // namespace nodeward::kernel
