// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstring>

#include "base/ip.h"
#include "nodeward/abi/capture.h"

namespace nodeward::kernel {

// Between the mesh's words for addresses and the maps' (abi/capture.h).
inline nodeward_address ToAbi(const base::IpAddress& address) {
  nodeward_address out{};
  std::memcpy(out.bytes, address.bytes().data(), sizeof(out.bytes));
  return out;
}

inline base::IpAddress FromAbi(const nodeward_address& address) {
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), address.bytes, bytes.size());
  return base::IpAddress::Bytes(bytes);
}

inline base::Endpoint EndpointFromAbi(const nodeward_address& address,
                                      uint16_t network_order_port) {
  return {FromAbi(address), ntohs(network_order_port)};
}

}  // namespace nodeward::kernel
