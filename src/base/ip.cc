// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <arpa/inet.h>

#include <cstring>

#include "absl/strings/numbers.h"
#include "base/text.h"

namespace nodeward::base {
namespace {

constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0,    0,
                                             0, 0, 0, 0, 0xff, 0xff};

}  // namespace

IpAddress IpAddress::V4(uint32_t network_order) {
  IpAddress ip;
  std::memcpy(ip.bytes_.data(), kMapped.data(), kMapped.size());
  std::memcpy(ip.bytes_.data() + 12, &network_order, 4);
  return ip;
}

IpAddress IpAddress::Bytes(const std::array<uint8_t, 16>& bytes) {
  IpAddress ip;
  ip.bytes_ = bytes;
  return ip;
}

StatusOr<IpAddress> IpAddress::Parse(std::string_view text) {
  const std::string copy(text);
  // inet_pton would stop at an embedded NUL and take what stands before it.
  const bool whole = copy.find('\0') == std::string::npos;
  in_addr v4{};
  if (whole && inet_pton(AF_INET, copy.c_str(), &v4) == 1) return V4(v4.s_addr);
  std::array<uint8_t, 16> v6{};
  if (whole && inet_pton(AF_INET6, copy.c_str(), v6.data()) == 1)
    return Bytes(v6);
  return absl::InvalidArgumentError(
      StrCat("parse IP address '", text, "': not an IPv4 or IPv6 address"));
}

bool IpAddress::is_v4() const {
  return std::memcmp(bytes_.data(), kMapped.data(), kMapped.size()) == 0;
}

bool IpAddress::is_unspecified() const {
  return *this == IpAddress() || *this == V4(0);
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[12] == 127;
  static constexpr std::array<uint8_t, 16> kOne = {0, 0, 0, 0, 0, 0, 0, 0,
                                                   0, 0, 0, 0, 0, 0, 0, 1};
  return bytes_ == kOne;
}

uint32_t IpAddress::v4() const {
  uint32_t value;
  std::memcpy(&value, bytes_.data() + 12, 4);
  return value;
}

std::string IpAddress::ToString() const {
  char buffer[INET6_ADDRSTRLEN];
  if (is_v4()) {
    inet_ntop(AF_INET, bytes_.data() + 12, buffer, sizeof(buffer));
  } else {
    inet_ntop(AF_INET6, bytes_.data(), buffer, sizeof(buffer));
  }
  return buffer;
}

StatusOr<Endpoint> Endpoint::Parse(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(
        StrCat("parse endpoint '", text, "': ", why));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed =
      host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("an IPv6 address needs brackets");
  }
  auto address = IpAddress::Parse(host);
  if (!address.ok()) return bad("the host is not an IP address");
  if (bracketed && host.find(':') == std::string_view::npos) {
    return bad("brackets are for IPv6");
  }
  uint32_t port = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return bad("the port is not a number");
  }
  if (digits.empty() || digits.size() > 5 ||
      !absl::SimpleAtoi(ToAbsl(digits), &port) || port == 0 || port > 65535) {
    return bad("the port is not in 1-65535");
  }
  return Endpoint{*address, static_cast<uint16_t>(port)};
}

StatusOr<Endpoint> Endpoint::FromSockaddr(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    return Endpoint{IpAddress::V4(in.sin_addr.s_addr), ntohs(in.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(address);
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, 16);
    return Endpoint{IpAddress::Bytes(bytes), ntohs(in.sin6_port)};
  }
  return absl::InvalidArgumentError(
      StrCat("read socket address: family ", address.ss_family, " is not IP"));
}

socklen_t Endpoint::ToSockaddr(sockaddr_storage* out, int family) const {
  std::memset(out, 0, sizeof(*out));
  if (family == AF_UNSPEC) family = address.family();
  if (family == AF_INET) {
    auto* in = reinterpret_cast<sockaddr_in*>(out);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = address.v4();
    return sizeof(*in);
  }
  auto* in = reinterpret_cast<sockaddr_in6*>(out);
  in->sin6_family = AF_INET6;
  in->sin6_port = htons(port);
  std::memcpy(&in->sin6_addr, address.bytes().data(), 16);
  return sizeof(*in);
}

std::string Endpoint::ToString() const {
  return address.is_v4() ? StrCat(address.ToString(), ":", port)
                         : StrCat("[", address.ToString(), "]:", port);
}

StatusOr<Cidr> Cidr::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  NODEWARD_ASSIGN(IpAddress address, IpAddress::Parse(text.substr(0, slash)));
  const int width = address.is_v4() ? 32 : 128;
  int length = width;
  if (slash != std::string_view::npos &&
      (!absl::SimpleAtoi(ToAbsl(text.substr(slash + 1)), &length) ||
       length < 0 || length > width)) {
    return absl::InvalidArgumentError(
        StrCat("parse CIDR '", text, "': prefix is not in 0-", width));
  }
  Cidr cidr;
  cidr.prefix_ = length + (128 - width);
  std::array<uint8_t, 16> bytes = address.bytes();
  for (int bit = cidr.prefix_; bit < 128; ++bit) {
    bytes[bit / 8] &= static_cast<uint8_t>(~(0x80 >> (bit % 8)));
  }
  cidr.address_ = IpAddress::Bytes(bytes);
  return cidr;
}

bool Cidr::Contains(const IpAddress& address) const {
  const int whole = prefix_ / 8;
  if (std::memcmp(address_.bytes().data(), address.bytes().data(), whole) !=
      0) {
    return false;
  }
  const int rest = prefix_ % 8;
  if (rest == 0) return true;
  const uint8_t mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (address_.bytes()[whole] & mask) == (address.bytes()[whole] & mask);
}

std::string Cidr::ToString() const {
  const bool v4 = address_.is_v4() && prefix_ >= 96;
  return StrCat(address_.ToString(), "/", v4 ? prefix_ - 96 : prefix_);
}

}  // namespace nodeward::base
