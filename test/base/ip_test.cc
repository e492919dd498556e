// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>

namespace nodeward::base {
namespace {

IpAddress Ip(const char* text) { return *IpAddress::Parse(text); }

TEST(IpAddressTest, ParsesAndPrints) {
  for (const char* text : {"10.0.0.1", "255.255.255.255", "0.0.0.0", "fd00::1",
                           "::", "::1", "2001:db8::ff00:42:8329"}) {
    const auto ip = IpAddress::Parse(text);
    ASSERT_TRUE(ip.ok()) << ip.status();
    EXPECT_EQ(ip->ToString(), text);
  }
}

TEST(IpAddressTest, RefusesWhatIsNoAddress) {
  for (const char* text :
       {"", "10.0.0", "10.0.0.1.2", "256.0.0.1", "010.0.0.1 ", "a.b.c.d",
        "localhost", "[::1]", "fe80::1%eth0", "10.0.0.1/8", ":::"}) {
    EXPECT_FALSE(IpAddress::Parse(text).ok()) << text;
  }
}

TEST(IpAddressTest, RefusesWhatFollowsANul) {
  EXPECT_FALSE(IpAddress::Parse(std::string_view("10.0.0.1\0.evil", 14)).ok());
  EXPECT_FALSE(IpAddress::Parse(std::string_view("fd00::1\0", 8)).ok());
}

TEST(IpAddressTest, AMappedAddressIsItsIpv4) {
  EXPECT_EQ(Ip("::ffff:10.0.0.1"), Ip("10.0.0.1"));
  EXPECT_TRUE(Ip("::ffff:10.0.0.1").is_v4());
  EXPECT_EQ(Ip("::ffff:10.0.0.1").ToString(), "10.0.0.1");
  EXPECT_FALSE(Ip("::10.0.0.1").is_v4());
}

TEST(IpAddressTest, KnowsSpecialAddresses) {
  EXPECT_TRUE(Ip("127.0.0.1").is_loopback());
  EXPECT_TRUE(Ip("127.255.0.9").is_loopback());
  EXPECT_TRUE(Ip("::1").is_loopback());
  EXPECT_TRUE(Ip("::ffff:127.0.0.1").is_loopback());
  EXPECT_FALSE(Ip("128.0.0.1").is_loopback());
  EXPECT_TRUE(Ip("0.0.0.0").is_unspecified());
  EXPECT_TRUE(Ip("::").is_unspecified());
  EXPECT_FALSE(Ip("10.0.0.1").is_unspecified());
  EXPECT_EQ(Ip("10.0.0.1").family(), AF_INET);
  EXPECT_EQ(Ip("fd00::1").family(), AF_INET6);
  EXPECT_EQ(Ip("10.0.0.1").v4(), htonl(0x0a000001));
}

TEST(EndpointTest, ParsesAndPrints) {
  for (const char* text : {"10.0.0.1:80", "[fd00::1]:65535"}) {
    const auto endpoint = Endpoint::Parse(text);
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    EXPECT_EQ(endpoint->ToString(), text);
  }
}

TEST(EndpointTest, RefusesNamesAndHalves) {
  for (const char* text :
       {"", "10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "10.0.0.1:-1",
        "10.0.0.1:80x", "10.0.0.1: 80", ":80", "httpbin:80", "fd00::1:80",
        "[fd00::1]", "[fd00::1]80", "[fd00::1:80", "[10.0.0.1:80"}) {
    EXPECT_FALSE(Endpoint::Parse(text).ok()) << text;
  }
}

TEST(EndpointTest, GoesThroughASockaddr) {
  for (const char* text : {"10.0.0.1:80", "[fd00::1]:443"}) {
    const Endpoint endpoint = *Endpoint::Parse(text);
    for (const int family : {AF_UNSPEC, AF_INET6}) {
      sockaddr_storage address{};
      const socklen_t length = endpoint.ToSockaddr(&address, family);
      EXPECT_EQ(length, address.ss_family == AF_INET ? sizeof(sockaddr_in)
                                                     : sizeof(sockaddr_in6));
      if (family == AF_INET6) {
        EXPECT_EQ(address.ss_family, AF_INET6);
      }
      EXPECT_EQ(*Endpoint::FromSockaddr(address), endpoint);
    }
  }
  sockaddr_storage unix_address{};
  unix_address.ss_family = AF_UNIX;
  EXPECT_FALSE(Endpoint::FromSockaddr(unix_address).ok());
}

TEST(CidrTest, ContainsWhatItSays) {
  const auto contains = [](const char* cidr, const char* ip) {
    return Cidr::Parse(cidr)->Contains(Ip(ip));
  };
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(contains("10.0.0.1", "10.0.0.1"));
  EXPECT_FALSE(contains("10.0.0.1", "10.0.0.2"));
  EXPECT_TRUE(contains("10.0.0.128/25", "10.0.0.129"));
  EXPECT_FALSE(contains("10.0.0.128/25", "10.0.0.127"));
  EXPECT_TRUE(contains("fd00::/8", "fdff::1"));
  EXPECT_FALSE(contains("fd00::/8", "fe00::1"));
  EXPECT_TRUE(contains("0.0.0.0/0", "1.2.3.4"));
  // A block of IPv4 holds no IPv6 address.
  EXPECT_FALSE(contains("0.0.0.0/0", "fd00::1"));
  EXPECT_EQ(Cidr::Parse("10.0.0.0/8")->prefix16(), 104);
  EXPECT_EQ(Cidr::Parse("10.0.0.0/8")->ToString(), "10.0.0.0/8");
  EXPECT_EQ(Cidr::Parse("fd00::/8")->ToString(), "fd00::/8");
}

TEST(CidrTest, RefusesWhatIsNoBlock) {
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/",
                           "10.0.0/8", "fd00::/129", "x/8", "10.0.0.0/8/8"}) {
    EXPECT_FALSE(Cidr::Parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace nodeward::base
