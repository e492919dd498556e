// SPDX-License-Identifier: Apache-2.0
#include "capture/interfaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "capture/netns_fixture.h"

namespace nodeward::capture {
namespace {

using testing::HasSubstr;

std::string Why(const base::StatusOr<HostInterface>& result) {
  return std::string(result.status().message());
}

TEST(FindHostInterfaceTest, FindsTheOtherEndWhateverItsName) {
  TestNode node;
  TestPod one(node, {.number = 2});
  TestPod two(node, {.number = 3, .ipv6 = true, .interface = "net7"});
  const auto first = FindHostInterface(one.netns(), node.netns(), {one.v4()});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->name, "v2");
  const auto second = FindHostInterface(two.netns(), node.netns(), {two.v6()});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->name, "v3");
  EXPECT_NE(first->index, second->index);
}

TEST(FindHostInterfaceTest, PicksTheInterfaceWithThePodsAddress) {
  TestNode node;
  TestPod pod(node, {});
  Sh("ip link add v99 type veth peer name aaa0 netns " + pod.name());
  Sh("ip -n " + pod.name() + " addr add 10.99.0.2/24 dev aaa0");
  const auto found = FindHostInterface(pod.netns(), node.netns(), {pod.v4()});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->name, "v2");
}

TEST(FindHostInterfaceTest, WithoutTheAddressNothingIsFound) {
  TestNode node;
  TestPod pod(node, {});
  const auto found =
      FindHostInterface(pod.netns(), node.netns(), {Ip("10.99.0.9")});
  EXPECT_EQ(found.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Why(found), HasSubstr("no interface in the pod carries"));
}

TEST(FindHostInterfaceTest, OtherKindsAreNotVeths) {
  TestNode node;
  TestPod pod(node, {});
  Sh("ip link add mv0 link br0 type macvlan && ip link set mv0 netns " +
     pod.name());
  Sh("ip -n " + pod.name() + " addr add 10.99.0.2/24 dev mv0");
  const auto found =
      FindHostInterface(pod.netns(), node.netns(), {Ip("10.99.0.2")});
  EXPECT_THAT(Why(found), HasSubstr("macvlan"));
}

TEST(FindHostInterfaceTest, PeerInAnotherNamespaceIsNotTheHosts) {
  TestNode node;
  TestPod pod(node, {.number = 2});
  TestPod other(node, {.number = 3});
  // The node has interfaces with the same numbers, so that only the check of
  // both ends tells.
  Sh("ip -n " + pod.name() + " link add inner0 type veth peer name inner1" +
     " netns " + other.name());
  Sh("ip -n " + pod.name() + " addr add 10.99.0.2/24 dev inner0");
  const auto found =
      FindHostInterface(pod.netns(), node.netns(), {Ip("10.99.0.2")});
  EXPECT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), absl::StatusCode::kNotFound);
}

TEST(IsLinkedToTest, ANodesPodsAreAndOthersAreNot) {
  TestNode other_node;
  TestPod other(other_node, {.number = 2});
  TestNode node;
  TestPod pod(node, {.number = 2});
  EXPECT_TRUE(*IsLinkedTo(pod.netns(), node.netns()));
  EXPECT_FALSE(*IsLinkedTo(other.netns(), node.netns()));
  Sh("ip link add mv0 link br0 type macvlan && ip link set mv0 netns " +
     other.name());
  EXPECT_TRUE(*IsLinkedTo(other.netns(), node.netns()));
}

TEST(DumpAddressesTest, ListsBothFamilies) {
  TestNode node;
  auto route = Netlink::Open(NETLINK_ROUTE);
  ASSERT_TRUE(route.ok()) << route.status();
  const auto found = DumpAddresses(*route);
  ASSERT_TRUE(found.ok()) << found.status();
  std::vector<base::IpAddress> addresses;
  for (const auto& each : *found) addresses.push_back(each.address);
  EXPECT_THAT(addresses,
              testing::IsSupersetOf({Ip("127.0.0.1"), Ip("::1"),
                                     Ip("10.77.0.1"), Ip("fd77::1")}));
}

}  // namespace
}  // namespace nodeward::capture
