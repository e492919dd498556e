// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "model/authorization.h"
#include "model/identity.h"

namespace nodeward::policy {

struct HttpHeader {
  std::string_view name;  // in lower case, no pseudo-header
  std::string_view value;
};

// What policies may ask about a request. Borrows.
struct HttpRequest {
  std::string_view method;
  std::string_view path;  // from NormalizePath, query included
  std::string_view host;  // Host or :authority as sent
  std::span<const HttpHeader> headers;
};

// Who asks for what, on the way into a workload. Borrows.
struct Connection {
  base::IpAddress source;  // the packet's; unspecified: not known
  // From the verified client certificate; none: plaintext.
  std::optional<model::Identity> peer;
  uint16_t port = 0;                 // the workload's
  base::IpAddress destination = {};  // the workload's; unspecified: unknown
  std::string_view sni = {};         // of the client's hello; empty: none
  // Null: bytes, of which nothing but the above is known.
  const HttpRequest* http = nullptr;
  // With a null `http`: it is HTTP, and each request will be asked about. Is
  // there any that may be allowed?
  bool http_to_come = false;
};

// A connection with everything that rules compare, each made once.
class Facts {
 public:
  explicit Facts(const Connection& connection);

  const Connection& connection() const { return connection_; }
  bool is_http() const { return connection_.http != nullptr; }
  // The value of a text attribute; null: absent. `name` is a header's. Stays
  // until the next call.
  const std::string_view* Text(model::Attribute attribute,
                               std::string_view name) const;

 private:
  const std::string_view* Header(std::string_view name) const;

  const Connection& connection_;
  std::string principal_;
  std::string account_;
  std::string host_;
  mutable std::string joined_;
  mutable std::string_view text_;
};

}  // namespace nodeward::policy
