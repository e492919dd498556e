// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace nodeward::model {

// What the application's protocol is known to be.
enum class Protocol { kUnknown, kHttp, kHttp2, kGrpc, kTls, kTcp };

// What a port's declaration tells of the bytes to come.
struct PortTraits {
  Protocol protocol = Protocol::kUnknown;
  // The server is known to speak first, or the protocol to be plain bytes
  // (mysql, mongo, redis …, appProtocol tcp): no wait for a ClientHello.
  bool no_sniff_wait = false;

  friend bool operator==(const PortTraits&, const PortTraits&) = default;
};

// Kubernetes' appProtocol wins when it is given; else the port's name up to
// its first '-' ("http", "http-web", "mysql"). Case does not matter.
PortTraits TraitsOfPort(std::string_view app_protocol, std::string_view name);

}  // namespace nodeward::model
