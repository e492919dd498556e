// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace nodeward::tls {

// The first bytes of a connection, looked at without reading them.
struct Sniffed {
  enum class Kind {
    kNeedMore,  // could become a ClientHello; look again with more bytes
    kNotTls,    // cannot be a ClientHello
    kTls,       // a whole ClientHello; the fields below are set
  };
  Kind kind = Kind::kNeedMore;
  std::vector<std::string> alpn;
  std::string server_name;  // empty: none

  // One of Istio's mesh protocols: "istio", "istio-peer-exchange", "istio-…".
  bool is_mesh() const;
};

// A ClientHello that has not ended after this many bytes, record headers
// included, is not TLS to us (ten times what browsers send with post-quantum
// key shares). So a buffer of this size always gets an answer.
inline constexpr size_t kMaxClientHello = 16 * 1024;

// Pure and total: any bytes give an answer; fragments over several TLS records
// are put together.
Sniffed SniffClientHello(base::ByteSpan bytes);

}  // namespace nodeward::tls
