// SPDX-License-Identifier: Apache-2.0
#include "policy/verdict.h"

#include <algorithm>

#include "base/text.h"

namespace nodeward::policy {
namespace {

const model::ClosingPolicy* FindClosing(const model::Snapshot& snapshot,
                                        const model::Workload& workload,
                                        const std::string& scope) {
  const auto found = snapshot.closing_scopes.find(scope);
  if (found == snapshot.closing_scopes.end()) return nullptr;
  for (const uint32_t index : found->second) {
    const model::ClosingPolicy& policy = snapshot.closing_policies[index];
    if (policy.Concerns(workload)) return &policy;
  }
  return nullptr;
}

const model::ClosingPolicy* FindClosing(const model::Snapshot& snapshot,
                                        const model::Workload& workload) {
  if (snapshot.closing_policies.empty()) return nullptr;
  const auto* mesh_wide = FindClosing(snapshot, workload, "");
  return mesh_wide != nullptr
             ? mesh_wide
             : FindClosing(snapshot, workload, workload.name_space);
}

bool Trusts(const model::Snapshot& snapshot, const std::string& domain) {
  const auto& aliases = snapshot.trust_domain_aliases;
  const auto& federated = snapshot.federated_trust_domains;
  return domain == snapshot.trust_domain ||
         std::find(aliases.begin(), aliases.end(), domain) != aliases.end() ||
         std::find(federated.begin(), federated.end(), domain) !=
             federated.end();
}

}  // namespace

Verdict Admit(const model::Snapshot& snapshot, const model::Workload& workload,
              const Connection& connection) {
  const EffectiveMtls mtls = MtlsFor(snapshot, workload, connection.port);
  Verdict verdict{false, "", mtls.policy, mtls.mode};
  if (const auto* closing = FindClosing(snapshot, workload)) {
    verdict.policy = closing->QualifiedName();
    verdict.reason = base::StrCat("closed by ", closing->kind, " ",
                                  verdict.policy, ": ", closing->reason);
    return verdict;
  }
  if (workload.membership == model::Membership::kConflict) {
    verdict.reason = "another pod claims the same address";
    return verdict;
  }
  if (!connection.peer.has_value()) {
    verdict.allow = mtls.mode == model::MtlsMode::kDisable ||
                    mtls.mode == model::MtlsMode::kPermissive;
    if (!verdict.allow) verdict.reason = "plaintext to a STRICT port";
    return verdict;
  }
  if (!Trusts(snapshot, connection.peer->trust_domain)) {
    verdict.reason = base::StrCat("peer of foreign trust domain ",
                                  connection.peer->trust_domain);
    return verdict;
  }
  verdict.allow = true;
  return verdict;
}

}  // namespace nodeward::policy
