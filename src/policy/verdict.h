// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ip.h"
#include "model/snapshot.h"
#include "policy/authn.h"

namespace nodeward::policy {

// Who asks for what, on the way into a workload.
struct Connection {
  base::IpAddress source;  // the packet's
  // From the verified client certificate; none: plaintext.
  std::optional<model::Identity> peer;
  uint16_t port = 0;  // the workload's
};

// A denial is a value, not an error.
struct Verdict {
  bool allow = false;
  std::string reason;  // "plaintext to a STRICT port"; empty when allowed
  std::string policy;  // "mtls-test/httpbin"; empty: the default
  model::MtlsMode mtls = model::MtlsMode::kPermissive;
};

// May `connection` reach `workload`? Asked before a byte reaches the
// application and again for every open connection when the snapshot changes.
// Doubt denies.
Verdict Admit(const model::Snapshot& snapshot, const model::Workload& workload,
              const Connection& connection);

// Before a byte is known: would plaintext be admitted?
inline bool AdmitsPlaintext(const model::Snapshot& snapshot,
                            const model::Workload& workload,
                            const base::IpAddress& source, uint16_t port) {
  return Admit(snapshot, workload, {source, std::nullopt, port}).allow;
}

}  // namespace nodeward::policy
