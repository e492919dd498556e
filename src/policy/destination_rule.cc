// SPDX-License-Identifier: Apache-2.0
#include "policy/destination_rule.h"

#include <map>
#include <string>

namespace nodeward::policy {
namespace {

using model::DestinationRule;
using model::Snapshot;
using RulePtr = std::shared_ptr<const DestinationRule>;

bool SaysSomething(const DestinationRule& rule) {
  return rule.tls.has_value() || !rule.port_tls.empty() || !rule.broken.empty();
}

bool Concerns(const DestinationRule& rule, const model::Workload& client) {
  return rule.VisibleIn(client.name_space) &&
         (rule.selector.empty() ||
          (rule.name_space == client.name_space &&
           model::Selects(rule.selector, client.labels)));
}

// The best of rules for one host, offered oldest first.
class Choice {
 public:
  void Offer(const RulePtr& rule) {
    RulePtr& best = rule->selector.empty() ? general_ : selecting_;
    if (best == nullptr || (!SaysSomething(*best) && SaysSomething(*rule))) {
      best = rule;
    }
  }
  // Null: none was offered.
  RulePtr Take() const { return selecting_ != nullptr ? selecting_ : general_; }

 private:
  RulePtr selecting_;
  RulePtr general_;
};

RulePtr FindIn(const Snapshot& snapshot, const std::string& name_space,
               const std::string& host, const model::Workload& client) {
  const auto scope = snapshot.rule_scopes.find(name_space);
  if (scope == snapshot.rule_scopes.end()) return nullptr;
  const auto& rules = snapshot.destination_rules;
  Choice choice;
  const auto exact = scope->second.exact.find(host);
  if (exact != scope->second.exact.end()) {
    for (const uint32_t index : exact->second) {
      if (Concerns(*rules[index], client)) choice.Offer(rules[index]);
    }
  }
  if (choice.Take() != nullptr) return choice.Take();
  std::map<size_t, Choice> by_length;
  for (const uint32_t index : scope->second.wildcard) {
    const DestinationRule& rule = *rules[index];
    if (!Concerns(rule, client) || !rule.Covers(host)) continue;
    by_length[rule.host.size()].Offer(rules[index]);
  }
  return by_length.empty() ? nullptr : by_length.rbegin()->second.Take();
}

}  // namespace

RulePtr FindDestinationRule(const Snapshot& snapshot,
                            const model::Workload& client,
                            const model::Service& service) {
  if (snapshot.destination_rules.empty()) return nullptr;
  const std::string host = service.Hostname();
  for (const std::string* name_space :
       {&client.name_space, &service.name_space, &snapshot.root_namespace}) {
    RulePtr rule = FindIn(snapshot, *name_space, host, client);
    if (rule != nullptr) return rule;
  }
  return nullptr;
}

}  // namespace nodeward::policy
