// SPDX-License-Identifier: Apache-2.0
#include "kernel/address.h"

#include <gtest/gtest.h>

#include "kernel/netns_fixture.h"

namespace nodeward::kernel {
namespace {

TEST(AddressTest, Ipv4IsMapped) {
  nodeward_address abi = ToAbi(test::Ip("10.1.2.3"));
  EXPECT_EQ(abi.words[0], 0u);
  EXPECT_EQ(abi.words[1], 0u);
  EXPECT_EQ(abi.words[2], htonl(0xffff));
  EXPECT_EQ(abi.words[3], htonl(0x0a010203));
  EXPECT_EQ(FromAbi(abi), test::Ip("10.1.2.3"));
}

TEST(AddressTest, Ipv6IsItself) {
  nodeward_address abi = ToAbi(test::Ip("fd00::1"));
  EXPECT_EQ(abi.bytes[0], 0xfd);
  EXPECT_EQ(abi.bytes[15], 1);
  EXPECT_EQ(FromAbi(abi), test::Ip("fd00::1"));
}

TEST(AddressTest, PortsAreInNetworkOrder) {
  EXPECT_EQ(EndpointFromAbi(ToAbi(test::Ip("10.1.2.3")), htons(80)),
            test::At("10.1.2.3:80"));
}

}  // namespace
}  // namespace nodeward::kernel
