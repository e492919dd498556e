// SPDX-License-Identifier: Apache-2.0
#include "capture/netlink.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include "capture/netns_fixture.h"

namespace nodeward::capture {
namespace {

std::vector<uint8_t> AttributeBytes(uint16_t type,
                                    const std::vector<uint8_t>& value) {
  const auto length = static_cast<uint16_t>(4 + value.size());
  std::vector<uint8_t> bytes((length + 3) / 4 * 4);
  bytes[0] = static_cast<uint8_t>(length);
  bytes[1] = static_cast<uint8_t>(length >> 8);
  bytes[2] = static_cast<uint8_t>(type);
  bytes[3] = static_cast<uint8_t>(type >> 8);
  std::copy(value.begin(), value.end(), bytes.begin() + 4);
  return bytes;
}

TEST(NetlinkAttributesTest, FindsValuesBehindPaddingAndFlags) {
  std::vector<uint8_t> bytes = AttributeBytes(1, {'l', 'o', 0});
  for (uint8_t byte : AttributeBytes(2 | NLA_F_NESTED, {9, 0, 0, 0})) {
    bytes.push_back(byte);
  }
  for (uint8_t byte : AttributeBytes(3, {10, 0, 0, 1})) bytes.push_back(byte);
  const NetlinkAttributes attributes(bytes);
  EXPECT_EQ(attributes.Find(1)->size(), 3u);
  EXPECT_EQ(attributes.FindU32(2), 9u);
  EXPECT_EQ(attributes.FindAddress(3), Ip("10.0.0.1"));
  EXPECT_FALSE(attributes.Find(4).has_value());
}

TEST(NetlinkAttributesTest, StopsAtBrokenLengths) {
  const std::vector<uint8_t> too_long = {200, 0, 1, 0, 1, 2, 3, 4};
  EXPECT_FALSE(NetlinkAttributes(too_long).Find(1).has_value());
  const std::vector<uint8_t> too_short = {2, 0, 1, 0, 1, 2, 3, 4};
  EXPECT_FALSE(NetlinkAttributes(too_short).Find(1).has_value());
  EXPECT_FALSE(NetlinkAttributes(base::ByteSpan()).Find(1).has_value());
}

TEST(NetlinkAttributesTest, ShortValuesAreNoNumbersOrAddresses) {
  const std::vector<uint8_t> bytes = AttributeBytes(1, {1, 2});
  const NetlinkAttributes attributes(bytes);
  EXPECT_FALSE(attributes.FindU32(1).has_value());
  EXPECT_FALSE(attributes.FindAddress(1).has_value());
}

NetlinkRequest AddLoopbackRoute() {
  rtmsg head{};
  head.rtm_family = AF_INET;
  head.rtm_protocol = RTPROT_STATIC;
  head.rtm_scope = RT_SCOPE_HOST;
  head.rtm_type = RTN_LOCAL;
  head.rtm_dst_len = 32;
  const uint32_t address = htonl(0x0a4d4d4d);
  NetlinkRequest request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  request.Struct(head)
      .Attribute(RTA_TABLE, 99)
      .Attribute(RTA_DST, address)
      .Attribute(RTA_OIF, 1);
  return request;
}

TEST(NetlinkTest, AskTellsTheKernelsErrorByItsCode) {
  TestNode node;
  auto route = Netlink::Open(NETLINK_ROUTE);
  ASSERT_TRUE(route.ok()) << route.status();
  const base::Status first = route->Ask(AddLoopbackRoute(), "add route");
  EXPECT_TRUE(first.ok()) << first;
  const base::Status again = route->Ask(AddLoopbackRoute(), "add route");
  EXPECT_EQ(again.code(), absl::StatusCode::kAlreadyExists) << again;
  NetlinkRequest remove(RTM_DELROUTE, 0);
  rtmsg head{};
  head.rtm_family = AF_INET;
  remove.Struct(head).Attribute(RTA_TABLE, 98);
  const base::Status none = route->Ask(std::move(remove), "remove route");
  EXPECT_EQ(none.code(), absl::StatusCode::kNotFound) << none;
}

TEST(NetlinkTest, DumpHandsOverEveryMessage) {
  TestNode node;
  for (int i = 0; i < 200; ++i) {
    Sh("ip addr add 10.77.1." + std::to_string(i + 1) + "/32 dev lo");
  }
  auto route = Netlink::Open(NETLINK_ROUTE);
  ASSERT_TRUE(route.ok()) << route.status();
  int count = 0;
  NetlinkRequest request(RTM_GETADDR, 0);
  request.Struct(ifaddrmsg{});
  const base::Status status = route->Dump(std::move(request), "list addresses",
                                          [&](uint16_t type, base::ByteSpan) {
                                            if (type == RTM_NEWADDR) ++count;
                                          });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_GE(count, 200);
}

TEST(NetlinkTest, DrainTellsWhetherSomethingHappened) {
  TestNode node;
  auto events = Netlink::Open(NETLINK_ROUTE, RTMGRP_IPV4_IFADDR);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_FALSE(events->Drain());
  Sh("ip addr add 10.77.9.9/32 dev lo");
  EXPECT_TRUE(Await([&] { return events->Drain(); }));
  EXPECT_FALSE(events->Drain());
}

}  // namespace
}  // namespace nodeward::capture
