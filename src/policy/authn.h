// SPDX-License-Identifier: Apache-2.0
//
// policy: pure decisions. (connection, snapshot) -> verdict; no I/O, no clock,
// no state. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "model/snapshot.h"

namespace nodeward::policy {

// The mode that applies to one workload port, never kUnset, and the
// PeerAuthentication that decided ("mtls-test/httpbin"; empty: the default).
struct EffectiveMtls {
  model::MtlsMode mode = model::MtlsMode::kPermissive;
  std::string policy;
};

// PeerAuthentication's scope rules (research: Istio security.istio.io
// peer_authentication.proto; pilot/pkg/security/authn/policy_applier.go):
// narrower beats wider, the oldest of one level wins and shadows even with
// UNSET, a port that is not listed takes the workload's mode.
EffectiveMtls MtlsFor(const model::Snapshot& snapshot,
                      const model::Workload& workload, uint16_t port);

// The workload's ports that a policy lists: all others have what MtlsFor says
// of port 0.
std::vector<uint16_t> ListedPorts(const model::Snapshot& snapshot,
                                  const model::Workload& workload);

}  // namespace nodeward::policy
