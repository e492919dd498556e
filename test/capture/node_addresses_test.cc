// SPDX-License-Identifier: Apache-2.0
#include "capture/node_addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "capture/loop_thread.h"
#include "capture/netns_fixture.h"

namespace nodeward::capture {
namespace {

using testing::Contains;
using testing::Not;

TEST(NodeAddressesTest, AreThoseOfTheNodeAndFollowChanges) {
  TestNode node;
  LoopThread thread;
  std::unique_ptr<NodeAddresses> watched;
  std::atomic<int> changes{0};
  const auto now = [&] {
    std::vector<base::IpAddress> addresses;
    thread.Do([&] { addresses = watched->addresses(); });
    return addresses;
  };
  thread.Do([&] {
    auto made = NodeAddresses::Watch(thread.loop(), [&] { ++changes; });
    ASSERT_TRUE(made.ok()) << made.status();
    watched = *std::move(made);
  });
  EXPECT_THAT(now(), testing::IsSupersetOf({Ip("10.77.0.1"), Ip("fd77::1")}));
  EXPECT_THAT(now(), Not(Contains(Ip("127.0.0.1"))));
  EXPECT_THAT(now(), Not(Contains(Ip("::1"))));
  Sh("ip addr add 10.55.0.1/24 dev br0");
  EXPECT_TRUE(
      Await([&] { return testing::Value(now(), Contains(Ip("10.55.0.1"))); }));
  Sh("ip addr add fd55::1/64 dev br0 nodad");
  EXPECT_TRUE(
      Await([&] { return testing::Value(now(), Contains(Ip("fd55::1"))); }));
  Sh("ip addr del 10.55.0.1/24 dev br0");
  EXPECT_TRUE(Await(
      [&] { return testing::Value(now(), Not(Contains(Ip("10.55.0.1")))); }));
  EXPECT_GE(changes, 3);
  thread.Do([&] { watched.reset(); });
}

}  // namespace
}  // namespace nodeward::capture
