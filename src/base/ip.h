// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace nodeward::base {

// An IPv4 or IPv6 address, held as 16 bytes; IPv4 as ::ffff:a.b.c.d, so that a
// v4-mapped address and its IPv4 form are one value.
class IpAddress {
 public:
  IpAddress() = default;  // "::", the unspecified address
  // `network_order` as in struct in_addr.
  static IpAddress V4(uint32_t network_order);
  static IpAddress Bytes(const std::array<uint8_t, 16>& bytes);
  // "10.0.0.1", "fd00::1"; no brackets, no zone.
  static StatusOr<IpAddress> Parse(std::string_view text);

  bool is_v4() const;
  bool is_unspecified() const;  // 0.0.0.0 or ::
  bool is_loopback() const;     // 127.0.0.0/8 or ::1
  // Network order; REQUIRES: is_v4().
  uint32_t v4() const;
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  int family() const { return is_v4() ? AF_INET : AF_INET6; }
  std::string ToString() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& ip) {
    return H::combine(std::move(h), ip.bytes_);
  }

 private:
  std::array<uint8_t, 16> bytes_{};
};

// Address and TCP port (host order).
struct Endpoint {
  IpAddress address;
  uint16_t port = 0;

  // "10.0.0.1:80", "[fd00::1]:80". An IP is required: names are an error.
  static StatusOr<Endpoint> Parse(std::string_view text);
  static StatusOr<Endpoint> FromSockaddr(const sockaddr_storage& address);
  // Fills `out` and returns its length. `family` AF_INET6 yields v4-mapped for
  // an IPv4 address; AF_UNSPEC takes the address's own.
  socklen_t ToSockaddr(sockaddr_storage* out, int family = AF_UNSPEC) const;
  std::string ToString() const;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Endpoint& e) {
    return H::combine(std::move(h), e.address, e.port);
  }
};

// An address block.
class Cidr {
 public:
  // "10.0.0.0/8", "fd00::/8", or a bare address (/32, /128).
  static StatusOr<Cidr> Parse(std::string_view text);
  bool Contains(const IpAddress& address) const;
  const IpAddress& address() const { return address_; }
  // Prefix length counted in the 16-byte form (IPv4 /8 is 104).
  int prefix16() const { return prefix_; }
  std::string ToString() const;

  friend bool operator==(const Cidr&, const Cidr&) = default;

 private:
  IpAddress address_;
  int prefix_ = 128;
};

}  // namespace nodeward::base
