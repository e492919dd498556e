// SPDX-License-Identifier: Apache-2.0
#include "policy/ignored.h"

#include <utility>

#include "base/text.h"
#include "policy/rules.h"
#include "policy/trust_domain.h"

namespace nodeward::policy {
namespace {

using base::StrCat;
using model::AuthorizationPolicy;
using model::PeerAuthentication;
using model::Snapshot;
using model::Workload;
using Action = model::AuthorizationPolicy::Action;

// "rule 1", "rules 0, 2": those that ask for HTTP attributes; empty: none.
std::string HttpRules(const AuthorizationPolicy& policy) {
  std::string list;
  int count = 0;
  for (size_t i = 0; i < policy.rules.size(); ++i) {
    if (!AsksForHttp(policy.rules[i])) continue;
    base::StrAppend(&list, count++ == 0 ? "" : ", ", i);
  }
  return count == 0 ? "" : StrCat(count == 1 ? "rule " : "rules ", list);
}

// Why `policy`, which selects the workload, does not count in full; empty: it
// does.
std::string WhyIgnored(const AuthorizationPolicy& policy,
                       const TrustDomains& domains, const Facts& facts) {
  if (policy.action == Action::kAudit) {
    return "AUDIT only marks, it never decides";
  }
  if (policy.dry_run) {
    const Rules rules(std::make_shared<AuthorizationPolicy>(policy), domains);
    const int match = rules.FindMatch(facts);
    return StrCat("it is a dry run; ",
                  match < 0 ? std::string("none of its rules holds")
                            : StrCat("its rule ", match, " holds"));
  }
  if (facts.is_http()) return "";
  const std::string rules = HttpRules(policy);
  if (rules.empty()) return "";
  return policy.action == Action::kAllow
             ? StrCat(rules,
                      " cannot hold: HTTP attributes are not known of "
                      "a stream that is not HTTP")
             : StrCat("the HTTP attributes of ", rules,
                      " are left out: they are not known of a stream that is "
                      "not HTTP");
}

void AddAuthentication(const Snapshot& snapshot, const Workload& workload,
                       std::vector<IgnoredPolicy>* ignored) {
  const auto add = [&](uint32_t index, std::string reason) {
    ignored->push_back({"PeerAuthentication",
                        snapshot.peer_authentications[index].QualifiedName(),
                        std::move(reason)});
  };
  const auto shadowed = [&](uint32_t index) {
    return StrCat("of the policies of its level only the oldest counts: ",
                  snapshot.peer_authentications[index].QualifiedName());
  };
  const bool in_root = workload.name_space == snapshot.root_namespace;
  const auto scan = [&](const std::string& name_space) {
    const auto scope = snapshot.authentication_scopes.find(name_space);
    if (scope == snapshot.authentication_scopes.end()) return;
    const auto& whole = scope->second.whole;
    for (size_t i = 1; i < whole.size(); ++i) add(whole[i], shadowed(whole[0]));
    const uint32_t* first = nullptr;
    for (const uint32_t& index : scope->second.selecting) {
      const PeerAuthentication& policy = snapshot.peer_authentications[index];
      if (!model::Selects(policy.selector, workload.labels)) continue;
      if (name_space == snapshot.root_namespace) {
        add(index,
            "in the root namespace only a policy without a selector "
            "counts");
      } else if (first == nullptr) {
        first = &index;
      } else {
        add(index, shadowed(*first));
      }
    }
  };
  scan(workload.name_space);
  if (!in_root) scan(snapshot.root_namespace);
}

}  // namespace

std::vector<IgnoredPolicy> FindIgnored(const Snapshot& snapshot,
                                       const Workload& workload,
                                       const Connection& connection) {
  std::vector<IgnoredPolicy> ignored;
  AddAuthentication(snapshot, workload, &ignored);
  const TrustDomains domains(snapshot.trust_domain,
                             snapshot.trust_domain_aliases);
  const Facts facts(connection);
  for (const std::string& scope : {std::string(), workload.name_space}) {
    const auto found = snapshot.authorization_scopes.find(scope);
    if (found == snapshot.authorization_scopes.end()) continue;
    for (const uint32_t index : found->second) {
      const AuthorizationPolicy& policy =
          *snapshot.authorization_policies[index];
      std::string reason;
      if (policy.targeted) {
        reason = "its targetRefs name a waypoint or gateway, never a pod";
      } else if (policy.Concerns(workload)) {
        reason = WhyIgnored(policy, domains, facts);
      }
      if (reason.empty()) continue;
      ignored.push_back(
          {"AuthorizationPolicy", policy.QualifiedName(), std::move(reason)});
    }
  }
  return ignored;
}

}  // namespace nodeward::policy
