// SPDX-License-Identifier: Apache-2.0
//
// Hooks of two versions beside each other, as while one agent takes over from
// another's. The other version is this one's, pinned under its name.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/hooks.h"
#include "kernel/netns_fixture.h"
#include "kernel/pin.h"
#include "kernel/stream_fixture.h"
#include "nodeward/abi/capture.h"

namespace nodeward::kernel {
namespace {

using test::At;
using test::Connection;
using test::Dial;

class PinVersionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    outbound_ = test::Listen(pod_.netns, At("0.0.0.0:15001"), "lo");
    Load(&former_);
    Enrol(*former_);
    ASSERT_TRUE(RenamePin(bpf_dir_ + "/v1", bpf_dir_ + "/v0").ok());
  }

  void Load(std::unique_ptr<Hooks>* hooks) {
    auto loaded =
        Hooks::Load({.bpf_dir = bpf_dir_, .cgroup_path = sandbox_.cgroup()});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    *hooks = *std::move(loaded);
  }
  void Enrol(Hooks& hooks) {
    ASSERT_TRUE(hooks.SetDestinations({{peer_.v4, Action::kCapture, {}}}).ok());
    ASSERT_TRUE(
        hooks.EnableConnect(pod_.netns.cookie(), &pod_.v4, nullptr).ok());
  }
  // Where the agent whose hooks these are is told that it wanted to go.
  std::optional<base::Endpoint> Original(Hooks& hooks) {
    const base::Fd agent = test::Accept(outbound_.get());
    if (!agent.valid()) return std::nullopt;
    return hooks.TakeFlow(pod_.netns.cookie(), test::Peer(agent.get()),
                          test::Local(agent.get()));
  }
  // connect() of a socket that the agent of `hooks` has made its own.
  int DialAsAgentOf(Hooks& hooks) {
    const base::Fd own = pod_.netns.Socket(AF_INET);
    EXPECT_TRUE(hooks.TagAgentSocket(own.get()).ok());
    return test::Connect(own.get(), served_);
  }

  test::Sandbox sandbox_;
  const std::string bpf_dir_ = sandbox_.bpf_dir() + "/nodeward";
  test::Node node_;
  test::InNetns inside_{node_.netns()};
  test::Pod pod_ = node_.AddPod(10);
  test::Pod peer_ = node_.AddPod(20);
  const base::Endpoint served_{peer_.v4, 8000};
  base::Fd outbound_;
  std::unique_ptr<Hooks> former_, next_;
};

TEST_F(PinVersionTest, WhatOneCapturesTheAgentsOfBothKnow) {
  Load(&next_);
  // Known to the former's hook alone, then to both.
  for (int round = 0; round < 2; ++round) {
    const Connection first = Dial(pod_.netns, served_);
    ASSERT_EQ(first.error, 0);
    EXPECT_EQ(test::Peer(first.fd.get()), served_);
    EXPECT_EQ(Original(*next_), served_);
    const Connection second = Dial(pod_.netns, served_);
    EXPECT_EQ(Original(*former_), served_);
    Enrol(*next_);
  }
}

TEST_F(PinVersionTest, SocketsOfBothAgentsAreLeftAloneByBoth) {
  Load(&next_);
  Enrol(*next_);
  // Not captured, and nobody listens there.
  EXPECT_EQ(DialAsAgentOf(*former_), ECONNREFUSED);
  EXPECT_EQ(DialAsAgentOf(*next_), ECONNREFUSED);
}

TEST_F(PinVersionTest, ConnectionsOutliveTheVersionThatCapturedThem) {
  const Connection early = Dial(pod_.netns, served_);
  Load(&next_);
  Enrol(*next_);
  former_.reset();
  ASSERT_TRUE(next_->RemoveOtherVersions().ok());
  EXPECT_THAT(ListDirectory(bpf_dir_), ::testing::ElementsAre("v1"));
  EXPECT_EQ(test::Peer(early.fd.get()), served_);
  EXPECT_EQ(Original(*next_), served_);
  const Connection late = Dial(pod_.netns, served_);
  EXPECT_EQ(test::Peer(late.fd.get()), served_);
  EXPECT_EQ(Original(*next_), served_);
}

TEST_F(PinVersionTest, WhatComesInIsTakenFromOneQueueByBoth) {
  const uint64_t cookie = pod_.netns.cookie();
  const base::Fd listener = test::Listen(pod_.netns, At("0.0.0.0:15006"));
  Load(&next_);
  ASSERT_TRUE(former_->AttachLookup(cookie, pod_.netns.fd()).ok());
  ASSERT_TRUE(
      former_->SetListener(cookie, Slot::kInbound4, listener.get()).ok());
  const base::Endpoint app{pod_.v4, 80};
  // The next one's slot is empty, then has the very socket.
  ASSERT_TRUE(next_->AttachLookup(cookie, pod_.netns.fd()).ok());
  EXPECT_EQ(Dial(peer_.netns, app).error, 0);
  ASSERT_TRUE(next_->SetListener(cookie, Slot::kInbound4, listener.get()).ok());
  EXPECT_EQ(Dial(peer_.netns, app).error, 0);
  former_.reset();
  ASSERT_TRUE(next_->RemoveOtherVersions().ok());
  EXPECT_EQ(Dial(peer_.netns, app).error, 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(test::Local(test::Accept(listener.get()).get()), app);
  }
}

TEST_F(PinVersionTest, AMapOfAnotherShapeIsNotShared) {
  LIBBPF_OPTS(bpf_map_create_opts, options);
  const base::Fd other(
      bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "flows", 8, 8, 16, &options));
  ASSERT_TRUE(other.valid());
  ASSERT_TRUE(Pin(other.get(), bpf_dir_ + "/v0/maps/flows").ok());
  Load(&next_);
  former_.reset();
  Enrol(*next_);
  ASSERT_TRUE(next_->RemoveOtherVersions().ok());
  const Connection connection = Dial(pod_.netns, served_);
  ASSERT_EQ(connection.error, 0);
  EXPECT_EQ(Original(*next_), served_);
}

TEST_F(PinVersionTest, IsThatOfTheSharedLayouts) {
  EXPECT_EQ(PinVersion(), NODEWARD_ABI_VERSION);
}

}  // namespace
}  // namespace nodeward::kernel
