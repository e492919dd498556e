// SPDX-License-Identifier: Apache-2.0
#include "discovery/authorization.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "discovery/attribute.h"
#include "discovery/security.h"

namespace nodeward::discovery {
namespace {

using base::StrCat;
using model::Attribute;
using model::AttributeTest;
using model::AttributeTests;
using model::AuthorizationPolicy;
using model::AuthorizationRule;
using Action = model::AuthorizationPolicy::Action;

constexpr size_t kMaxRules = 512;
constexpr size_t kMaxFrom = 512;
constexpr size_t kMaxTargets = 16;
constexpr size_t kMaxAccounts = 16;

// A field of a source or an operation and the one that negates it.
struct Pair {
  std::string_view values;
  std::string_view not_values;
  Attribute attribute;
};
constexpr Pair kSource[] = {
    {"principals", "notPrincipals", Attribute::kPrincipal},
    {"requestPrincipals", "notRequestPrincipals", Attribute::kRequestPrincipal},
    {"namespaces", "notNamespaces", Attribute::kNamespace},
    {"serviceAccounts", "notServiceAccounts", Attribute::kServiceAccount},
    {"trustDomains", "notTrustDomains", Attribute::kTrustDomain},
    {"ipBlocks", "notIpBlocks", Attribute::kSourceIp},
    {"remoteIpBlocks", "notRemoteIpBlocks", Attribute::kRemoteIp},
};
constexpr Pair kOperation[] = {
    {"hosts", "notHosts", Attribute::kHost},
    {"ports", "notPorts", Attribute::kPort},
    {"methods", "notMethods", Attribute::kMethod},
    {"paths", "notPaths", Attribute::kPath},
};

class RuleReader {
 public:
  explicit RuleReader(const AuthorizationPolicy& policy) : policy_(policy) {}

  AuthorizationRule Read(const Field& rule) const;

 private:
  std::vector<AttributeTests> ReadAlternatives(
      const Field& list, std::string_view inner,
      std::span<const Pair> fields) const;
  AttributeTests ReadFields(const Field& object,
                            std::span<const Pair> fields) const;
  void ReadCondition(const Field& condition, AttributeTests* tests) const;
  std::vector<std::string> ReadValues(const Field& list,
                                      Attribute attribute) const;

  const AuthorizationPolicy& policy_;
};

std::vector<std::string> RuleReader::ReadValues(const Field& list,
                                                Attribute attribute) const {
  std::vector<std::string> values;
  for (const Field& item : list.Items()) {
    if (!item.is_text()) {
      // A null, too: it would be an empty value.
      item.Flaw("must be a string");
      continue;
    }
    std::string value = item.Text();
    std::string flaw = ValueFlaw(attribute, value);
    if (!flaw.empty()) {
      item.Flaw(std::move(flaw));
      continue;
    }
    // A bare account is one of the policy's own namespace.
    if (attribute == Attribute::kServiceAccount &&
        value.find('/') == std::string::npos) {
      value = StrCat(policy_.name_space, "/", value);
    }
    values.push_back(std::move(value));
  }
  if (attribute == Attribute::kServiceAccount && values.size() > kMaxAccounts) {
    list.Flaw(StrCat("has more than ", kMaxAccounts, " values"));
  }
  return values;
}

AttributeTests RuleReader::ReadFields(const Field& object,
                                      std::span<const Pair> fields) const {
  AttributeTests tests;
  for (const Pair& pair : fields) {
    AttributeTest test;
    test.attribute = pair.attribute;
    test.values = ReadValues(object[pair.values], pair.attribute);
    test.not_values = ReadValues(object[pair.not_values], pair.attribute);
    if (!test.values.empty() || !test.not_values.empty()) {
      tests.push_back(std::move(test));
    }
  }
  for (const auto& [key, member] : object.Members()) {
    if (std::none_of(fields.begin(), fields.end(), [&](const Pair& pair) {
          return key == pair.values || key == pair.not_values;
        })) {
      member.Flaw("unknown field");
    }
  }
  return tests;
}

bool Has(const AttributeTests& tests, Attribute attribute) {
  return std::any_of(
      tests.begin(), tests.end(),
      [&](const AttributeTest& test) { return test.attribute == attribute; });
}

// `from` with `source` or `to` with `operation`.
std::vector<AttributeTests> RuleReader::ReadAlternatives(
    const Field& list, std::string_view inner,
    std::span<const Pair> fields) const {
  std::vector<AttributeTests> alternatives;
  for (const Field& item : list.Items()) {
    RefuseUnknown(item, {inner});
    const Field object = item[inner];
    if (!item.present() || !object.present()) {
      object.Flaw(StrCat("`", inner, "` cannot be nil"));
      continue;
    }
    AttributeTests tests = ReadFields(object, fields);
    if (tests.empty()) {
      object.Flaw(StrCat("`", inner, "` must have at least 1 field set"));
    }
    if (Has(tests, Attribute::kServiceAccount) &&
        (Has(tests, Attribute::kPrincipal) ||
         Has(tests, Attribute::kNamespace))) {
      object.Flaw("cannot set serviceAccounts with namespaces or principals");
    }
    alternatives.push_back(std::move(tests));
  }
  return alternatives;
}

void RuleReader::ReadCondition(const Field& condition,
                               AttributeTests* tests) const {
  RefuseUnknown(condition, {"key", "values", "notValues"});
  const Field field = condition["key"];
  const std::string text = field.Text();
  if (text.empty()) return field.Flaw("`key` cannot be empty");
  ConditionKey key = ReadConditionKey(text);
  if (!key.flaw.empty()) return field.Flaw(std::move(key.flaw));
  if (policy_.action == Action::kCustom &&
      (key.attribute == Attribute::kNamespace ||
       key.attribute == Attribute::kServiceAccount ||
       key.attribute == Attribute::kTrustDomain ||
       key.attribute == Attribute::kPrincipal ||
       text.starts_with("request.auth."))) {
    field.Flaw(StrCat(text, " is currently not supported with CUSTOM action"));
  }
  AttributeTest test;
  test.attribute = key.attribute;
  test.name = std::move(key.name);
  test.values = ReadValues(condition["values"], key.attribute);
  test.not_values = ReadValues(condition["notValues"], key.attribute);
  if (test.values.empty() && test.not_values.empty()) {
    condition.Flaw(
        StrCat("at least one of `values` or `notValues` must be "
               "set for key ",
               text));
  }
  tests->push_back(std::move(test));
}

AuthorizationRule RuleReader::Read(const Field& field) const {
  AuthorizationRule rule;
  if (!field.present()) {
    field.Flaw("`rules` must not hold a nil rule");
    return rule;
  }
  RefuseUnknown(field, {"from", "to", "when"});
  const Field from = field["from"];
  rule.from = ReadAlternatives(from, "source", kSource);
  rule.to = ReadAlternatives(field["to"], "operation", kOperation);
  for (const Field& condition : field["when"].Items()) {
    ReadCondition(condition, &rule.when);
  }
  if (rule.from.size() > kMaxFrom) {
    from.Flaw(StrCat("has more than ", kMaxFrom, " sources"));
  }
  if (policy_.action == Action::kCustom) {
    for (const AttributeTests& source : rule.from) {
      for (const AttributeTest& test : source) {
        if (test.attribute == Attribute::kSourceIp ||
            test.attribute == Attribute::kRemoteIp) {
          continue;
        }
        from.Flaw(StrCat(AttributeText(test.attribute),
                         " is currently not supported with CUSTOM action"));
      }
    }
  }
  return rule;
}

Action ReadAction(const Field& action) {
  if (!action.present()) return Action::kAllow;
  const std::string text = action.Text();
  for (const Action known :
       {Action::kAllow, Action::kDeny, Action::kAudit, Action::kCustom}) {
    if (text == ActionText(known)) return known;
  }
  action.Flaw("must be ALLOW, DENY, AUDIT or CUSTOM");
  return Action::kDeny;
}

void ReadTarget(const Field& target) {
  if (!target.present()) return target.Flaw("must not be nil");
  RefuseUnknown(target, {"group", "kind", "name", "namespace"});
  const std::string group = target["group"].Text();
  const std::string kind = target["kind"].Text();
  if (target["name"].Text().empty()) {
    target["name"].Flaw("targetRef name must be set");
  }
  if (!target["namespace"].Text().empty()) {
    target["namespace"].Flaw(
        "cross namespace referencing is not currently "
        "supported");
  }
  const bool gateway = group == "gateway.networking.k8s.io" &&
                       (kind == "Gateway" || kind == "GatewayClass");
  const bool service = (group.empty() || group == "core") && kind == "Service";
  const bool entry = group == "networking.istio.io" && kind == "ServiceEntry";
  if (!gateway && !service && !entry) {
    target.Flaw(StrCat("targetRef kind ", group, "/", kind,
                       " is not supported: use Gateway, GatewayClass, Service "
                       "or ServiceEntry"));
  }
}

// True: it has some.
bool ReadTargets(const Field& spec) {
  const Field one = spec["targetRef"];
  const auto many = spec["targetRefs"].Items();
  if (one.present()) ReadTarget(one);
  for (const Field& target : many) ReadTarget(target);
  if (many.size() > kMaxTargets) {
    spec["targetRefs"].Flaw(
        StrCat("has more than ", kMaxTargets, " references"));
  }
  if (int(one.present()) + int(!many.empty()) +
          int(spec["selector"].present()) >
      1) {
    spec.Flaw("only one of targetRefs or workloadSelector can be set");
  }
  return one.present() || !many.empty();
}

// As Go's ParseBool: what is no bool means no dry run.
bool IsTrue(const std::string& text) {
  for (const char* word : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == word) return true;
  }
  return false;
}

void CheckAction(const Field& spec, const AuthorizationPolicy& policy) {
  const std::string_view action = ActionText(policy.action);
  const bool custom = policy.action == Action::kCustom;
  const Field rules = spec["rules"];
  if (policy.rules.empty() && (custom || policy.action == Action::kDeny)) {
    rules.Flaw(StrCat(action,
                      " action without `rules` is meaningless as it will never "
                      "be triggered, add an empty rule `{}` if you want it be "
                      "triggered for every request"));
  }
  if (custom && policy.provider.empty()) {
    spec["provider"].Flaw("`provider.name` must not be empty");
  }
  if (!custom && spec["provider"].present()) {
    spec["provider"].Flaw(StrCat(
        "`provider` must not be with non CUSTOM action, found ", action));
  }
  if (policy.rules.size() > kMaxRules) {
    rules.Flaw(StrCat("has more than ", kMaxRules, " rules"));
  }
}

}  // namespace

AuthorizationPolicy ReadAuthorizationPolicy(const Field& root,
                                            const Metadata& metadata,
                                            const std::string& root_namespace) {
  AuthorizationPolicy policy;
  policy.name = metadata.name;
  policy.name_space = metadata.name_space;
  policy.created = metadata.created;
  policy.mesh_wide = metadata.name_space == root_namespace;
  const auto dry_run = metadata.annotations.find("istio.io/dry-run");
  policy.dry_run =
      dry_run != metadata.annotations.end() && IsTrue(dry_run->second);
  const Field spec = root["spec"];
  RefuseUnknown(root, {"apiVersion", "kind", "metadata", "spec", "status"});
  RefuseUnknown(spec, {"selector", "targetRef", "targetRefs", "rules", "action",
                       "provider"});
  policy.selector = ReadSelector(spec["selector"]);
  policy.targeted = ReadTargets(spec);
  policy.action = ReadAction(spec["action"]);
  RefuseUnknown(spec["provider"], {"name"});
  policy.provider = spec["provider"]["name"].Text();
  const RuleReader reader(policy);
  for (const Field& rule : spec["rules"].Items()) {
    policy.rules.push_back(reader.Read(rule));
  }
  CheckAction(spec, policy);
  if (policy.targeted) {
    spec.Note(
        "it targets a waypoint or gateway, so no pod, and has no effect "
        "here");
  } else if (policy.dry_run) {
    spec.Note("it is a dry run and decides nothing");
  }
  return policy;
}

}  // namespace nodeward::discovery
