// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "base/json.h"
#include "base/status.h"
#include "model/identity.h"

namespace nodeward::policy {

// "May A call B?", as an operator asks it.
struct Question {
  std::optional<model::Identity> from;  // none: plaintext
  base::IpAddress from_ip;              // unspecified: not told
  std::string name_space;               // of the destination
  std::string name;                     // a pod's or a service's
  // Of the pod, or of the service when `name` is one; none: its first.
  std::optional<uint16_t> port;
  bool http = false;
  std::string method = "GET";
  std::string path = "/";
  std::string host;
  // Names in lower case; Host is `host`.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string sni;
};

// Reads {"from","fromIp","to","port","protocol","method","path","host",
// "headers","sni"}: `from` ("cluster.local/ns/a/sa/b", with or without
// "spiffe://", or "none") and `to` ("ns/pod" or "ns/service") are required.
// Without a protocol ("http" or "tcp") it is HTTP when anything of HTTP is
// told. A member of another name or type is an error.
base::StatusOr<Question> ReadQuestion(const base::Json& json);

}  // namespace nodeward::policy
