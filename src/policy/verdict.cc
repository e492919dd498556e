// SPDX-License-Identifier: Apache-2.0
#include "policy/verdict.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/text.h"

namespace nodeward::policy {
namespace {

using Action = model::AuthorizationPolicy::Action;
using RulesList = WorkloadPolicy::RulesList;

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

// AUDIT only marks, and there is nobody to mark for; a dry run is a question.
bool Decides(const model::AuthorizationPolicy& policy) {
  return !policy.targeted && !policy.dry_run && policy.action != Action::kAudit;
}

// Calls `visit` with the position of each policy that concerns `workload`.
template <typename Visit>
void ForEachPolicy(const model::Snapshot& snapshot,
                   const model::Workload& workload, const Visit& visit) {
  for (const std::string& scope : {std::string(), workload.name_space}) {
    const auto found = snapshot.authorization_scopes.find(scope);
    if (found == snapshot.authorization_scopes.end()) continue;
    for (const uint32_t index : found->second) {
      const auto& policy = *snapshot.authorization_policies[index];
      if (Decides(policy) && policy.Concerns(workload)) visit(index);
    }
  }
}

TrustDomains DomainsOf(const model::Snapshot& snapshot) {
  return TrustDomains(snapshot.trust_domain, snapshot.trust_domain_aliases,
                      snapshot.federated_trust_domains);
}

bool AsksForSni(const model::AuthorizationPolicy& policy) {
  for (const model::AuthorizationRule& rule : policy.rules) {
    for (const model::AttributeTest& test : rule.when) {
      if (test.attribute == model::Attribute::kSni) return true;
    }
  }
  return false;
}

// The first that has a rule that holds, with it.
std::pair<const Rules*, int> FindMatch(const RulesList& list,
                                       const Facts& facts) {
  for (const auto& rules : list) {
    const int match = rules->FindMatch(facts);
    if (match >= 0) return {rules.get(), match};
  }
  return {nullptr, -1};
}

Verdict Deny(Verdict verdict, Verdict::Layer layer, std::string reason) {
  verdict.allow = false;
  verdict.layer = layer;
  verdict.reason = std::move(reason);
  return verdict;
}

}  // namespace

WorkloadPolicy::WorkloadPolicy(const model::Snapshot& snapshot,
                               const model::Workload& workload,
                               const TrustDomains& domains,
                               const RulesList& rules)
    : domains_(domains),
      // Port 0 is listed nowhere.
      mtls_(MtlsFor(snapshot, workload, 0)),
      disputed_(workload.membership == model::Membership::kConflict) {
  for (const uint16_t port : ListedPorts(snapshot, workload)) {
    port_mtls_.emplace(port, MtlsFor(snapshot, workload, port));
  }
  if (const auto* closing = FindClosing(snapshot, workload)) {
    closing_ = *closing;
  }
  for (const auto& each : rules) {
    const model::AuthorizationPolicy& policy = each->policy();
    wants_sni_ = wants_sni_ || AsksForSni(policy);
    if (std::any_of(policy.rules.begin(), policy.rules.end(),
                    [](const auto& rule) { return AsksForHttp(rule); })) {
      http_.push_back(each);
    }
    switch (policy.action) {
      case Action::kAllow:
        allow_.push_back(each);
        break;
      case Action::kDeny:
        deny_.push_back(each);
        break;
      case Action::kCustom:
        custom_.push_back(each);
        break;
      case Action::kAudit:
        break;
    }
  }
}

Verdict WorkloadPolicy::Decide(const Connection& connection) const {
  using Layer = Verdict::Layer;
  const auto listed = port_mtls_.find(connection.port);
  const EffectiveMtls& mtls =
      listed == port_mtls_.end() ? mtls_ : listed->second;
  Verdict verdict;
  verdict.mtls = mtls.mode;
  verdict.mtls_policy = mtls.policy;
  if (closing_.has_value()) {
    verdict.policy = closing_->QualifiedName();
    const bool authn = closing_->kind == "PeerAuthentication";
    return Deny(
        std::move(verdict), authn ? Layer::kAuthn : Layer::kAuthz,
        base::StrCat("closed by ", closing_->kind, " ",
                     closing_->QualifiedName(), ": ", closing_->reason));
  }
  if (disputed_) {
    return Deny(std::move(verdict), Layer::kAuthn,
                "another pod claims the same address");
  }
  if (!connection.peer.has_value()) {
    if (mtls.mode != model::MtlsMode::kDisable &&
        mtls.mode != model::MtlsMode::kPermissive) {
      verdict.policy = mtls.policy;
      return Deny(std::move(verdict), Layer::kAuthn,
                  "plaintext to a STRICT port");
    }
  } else if (!domains_.Accepts(connection.peer->trust_domain)) {
    return Deny(std::move(verdict), Layer::kAuthn,
                base::StrCat("peer of foreign trust domain ",
                             connection.peer->trust_domain));
  }
  return Authorize(connection, std::move(verdict));
}

bool WorkloadPolicy::WantsHttp(uint16_t port) const {
  return std::any_of(http_.begin(), http_.end(), [port](const auto& rules) {
    return rules->AsksForHttp(port);
  });
}

Verdict WorkloadPolicy::Authorize(const Connection& connection,
                                  Verdict verdict) const {
  verdict.allow = true;
  if (custom_.empty() && deny_.empty() && allow_.empty()) return verdict;
  const Facts facts(connection);
  for (const RulesList* list : {&custom_, &deny_}) {
    const auto [rules, match] = FindMatch(*list, facts);
    if (rules == nullptr) continue;
    const model::AuthorizationPolicy& policy = rules->policy();
    verdict.policy = policy.QualifiedName();
    verdict.rule = match;
    return Deny(std::move(verdict), Verdict::Layer::kAuthz,
                base::StrCat("denied by ", ActionText(policy.action),
                             " AuthorizationPolicy ", policy.QualifiedName(),
                             " rule ", match,
                             list == &custom_
                                 ? ": its external authorizer is never asked"
                                 : ""));
  }
  if (allow_.empty()) return verdict;
  const auto [rules, match] = FindMatch(allow_, facts);
  if (rules != nullptr) {
    verdict.policy = rules->policy().QualifiedName();
    verdict.rule = match;
    return verdict;
  }
  verdict.policy = allow_.front()->policy().QualifiedName();
  std::string reason = "no rule of an ALLOW AuthorizationPolicy holds: ";
  base::StrAppend(&reason, verdict.policy);
  if (allow_.size() > 1) {
    base::StrAppend(&reason, " and ", allow_.size() - 1, " more");
  }
  return Deny(std::move(verdict), Verdict::Layer::kAuthz, std::move(reason));
}

Rulebook::Rulebook(const model::Snapshot& snapshot, const Rulebook* previous)
    : snapshot_(snapshot), domains_(DomainsOf(snapshot)) {
  absl::flat_hash_map<const model::AuthorizationPolicy*,
                      std::shared_ptr<const Rules>>
      ready;
  if (previous != nullptr && previous->domains_ == domains_) {
    ready.reserve(previous->rules_.size());
    for (const auto& rules : previous->rules_) {
      if (rules != nullptr) ready.emplace(&rules->policy(), rules);
    }
  }
  rules_.reserve(snapshot.authorization_policies.size());
  for (const auto& policy : snapshot.authorization_policies) {
    const auto found = ready.find(policy.get());
    rules_.push_back(!Decides(*policy) ? nullptr
                     : found != ready.end()
                         ? found->second
                         : std::make_shared<const Rules>(policy, domains_));
  }
}

std::shared_ptr<const WorkloadPolicy> Rulebook::For(
    const model::Workload& workload) const {
  RulesList list;
  ForEachPolicy(snapshot_, workload,
                [&](uint32_t index) { list.push_back(rules_[index]); });
  return std::make_shared<const WorkloadPolicy>(snapshot_, workload, domains_,
                                                list);
}

Verdict Admit(const model::Snapshot& snapshot, const model::Workload& workload,
              const Connection& connection) {
  const TrustDomains domains = DomainsOf(snapshot);
  RulesList list;
  ForEachPolicy(snapshot, workload, [&](uint32_t index) {
    list.push_back(std::make_shared<const Rules>(
        snapshot.authorization_policies[index], domains));
  });
  return WorkloadPolicy(snapshot, workload, domains, list).Decide(connection);
}

}  // namespace nodeward::policy
