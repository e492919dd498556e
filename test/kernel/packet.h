// SPDX-License-Identifier: Apache-2.0
//
// Packets as bytes, from the Ethernet header on, for test runs of programs.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/ip.h"

namespace nodeward::test {

inline constexpr uint8_t kSyn = 0x02, kAck = 0x10;

inline std::string Bytes(std::initializer_list<int> values) {
  std::string bytes;
  for (int value : values) bytes += static_cast<char>(value);
  return bytes;
}

inline std::string U16(uint16_t value) {
  return Bytes({value >> 8, value & 0xff});
}

inline std::string Tcp(const base::Endpoint& from, const base::Endpoint& to,
                       uint8_t flags) {
  return U16(from.port) + U16(to.port) + std::string(8, '\0') +
         Bytes({0x50, flags}) + std::string(6, '\0');
}

inline std::string AddressBytes(const base::IpAddress& ip) {
  const auto& bytes = ip.bytes();
  size_t skip = ip.is_v4() ? 12 : 0;
  return std::string(bytes.begin() + skip, bytes.end());
}

// `fragment`: flags and offset; `options`: a multiple of four.
inline std::string V4(const base::Endpoint& from, const base::Endpoint& to,
                      const std::string& payload, uint16_t fragment = 0,
                      const std::string& options = "",
                      int protocol = IPPROTO_TCP) {
  int words = 5 + options.size() / 4;
  return std::string(12, '\x02') + Bytes({0x08, 0x00}) +
         Bytes({0x40 | words, 0}) + U16(words * 4 + payload.size()) + U16(1) +
         U16(fragment) + Bytes({64, protocol}) + U16(0) +
         AddressBytes(from.address) + AddressBytes(to.address) + options +
         payload;
}

inline std::string V6(const base::Endpoint& from, const base::Endpoint& to,
                      int next, const std::string& payload) {
  return std::string(12, '\x02') + Bytes({0x86, 0xdd, 0x60, 0, 0, 0}) +
         U16(payload.size()) + Bytes({next, 64}) + AddressBytes(from.address) +
         AddressBytes(to.address) + payload;
}

inline std::string Extension(int next, int more_words = 0) {
  return Bytes({next, more_words}) + std::string(6 + more_words * 8, '\0');
}

}  // namespace nodeward::test
