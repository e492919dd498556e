// SPDX-License-Identifier: Apache-2.0
#include "policy/authn.h"

namespace nodeward::policy {
namespace {

using model::MtlsMode;
using model::PeerAuthentication;
using model::Snapshot;
using model::Workload;

const Snapshot::AuthenticationScope* FindScope(const Snapshot& snapshot,
                                               const std::string& name_space) {
  const auto found = snapshot.authentication_scopes.find(name_space);
  return found == snapshot.authentication_scopes.end() ? nullptr
                                                       : &found->second;
}

const PeerAuthentication* WholeScope(const Snapshot& snapshot,
                                     const std::string& name_space) {
  const auto* scope = FindScope(snapshot, name_space);
  if (scope == nullptr || scope->whole.empty()) return nullptr;
  return &snapshot.peer_authentications[scope->whole.front()];
}

// In the root namespace a policy with a selector has no effect at all.
const PeerAuthentication* ForWorkload(const Snapshot& snapshot,
                                      const Workload& workload) {
  if (workload.name_space == snapshot.root_namespace) return nullptr;
  const auto* scope = FindScope(snapshot, workload.name_space);
  if (scope == nullptr) return nullptr;
  for (const uint32_t index : scope->selecting) {
    const PeerAuthentication& policy = snapshot.peer_authentications[index];
    if (model::Selects(policy.selector, workload.labels)) return &policy;
  }
  return nullptr;
}

}  // namespace

EffectiveMtls MtlsFor(const Snapshot& snapshot, const Workload& workload,
                      uint16_t port) {
  const PeerAuthentication* const narrow = ForWorkload(snapshot, workload);
  if (narrow != nullptr) {
    const auto listed = narrow->port_modes.find(port);
    if (listed != narrow->port_modes.end() &&
        listed->second != MtlsMode::kUnset) {
      return {listed->second, narrow->QualifiedName()};
    }
  }
  // Narrowest first; UNSET asks the next wider one, and it does so although
  // younger policies of its own level might say more.
  for (const PeerAuthentication* policy :
       {narrow, WholeScope(snapshot, workload.name_space),
        WholeScope(snapshot, snapshot.root_namespace)}) {
    if (policy != nullptr && policy->mode != MtlsMode::kUnset) {
      return {policy->mode, policy->QualifiedName()};
    }
  }
  return {};
}

std::vector<uint16_t> ListedPorts(const Snapshot& snapshot,
                                  const Workload& workload) {
  std::vector<uint16_t> ports;
  const PeerAuthentication* const narrow = ForWorkload(snapshot, workload);
  if (narrow == nullptr) return ports;
  for (const auto& [port, mode] : narrow->port_modes) ports.push_back(port);
  return ports;
}

}  // namespace nodeward::policy
