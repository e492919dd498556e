// SPDX-License-Identifier: Apache-2.0
#include "policy/rules.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/text.h"

namespace nodeward::policy {

using model::Attribute;
using model::AttributeTest;
using model::AttributeTests;

namespace {

bool IsAddress(Attribute attribute) {
  return attribute == Attribute::kSourceIp ||
         attribute == Attribute::kRemoteIp ||
         attribute == Attribute::kDestinationIp;
}

template <typename T>
uint32_t Size(const std::vector<T>& items) {
  return static_cast<uint32_t>(items.size());
}

}  // namespace

Rules::Rules(std::shared_ptr<const model::AuthorizationPolicy> policy,
             const TrustDomains& domains)
    : policy_(std::move(policy)), names_(1) {
  rules_.reserve(policy_->rules.size());
  for (const model::AuthorizationRule& source : policy_->rules) {
    Rule rule;
    rule.from = AddAlternatives(source.from, domains, &rule);
    rule.to = AddAlternatives(source.to, domains, &rule);
    rule.when = AddTests(source.when, domains, &rule);
    rules_.push_back(rule);
  }
}

Rules::Range Rules::AddAlternatives(
    const std::vector<AttributeTests>& alternatives,
    const TrustDomains& domains, Rule* rule) {
  std::vector<Range> ranges;
  ranges.reserve(alternatives.size());
  for (const AttributeTests& tests : alternatives) {
    ranges.push_back(AddTests(tests, domains, rule));
  }
  const uint32_t first = Size(alternatives_);
  alternatives_.insert(alternatives_.end(), ranges.begin(), ranges.end());
  return {first, Size(alternatives_)};
}

Rules::Range Rules::AddTests(const AttributeTests& tests,
                             const TrustDomains& domains, Rule* rule) {
  const uint32_t first = Size(tests_);
  for (const AttributeTest& test : tests) {
    if (IsHttp(test.attribute)) rule->http = true;
    if (!test.values.empty()) AddTest(test, test.values, false, domains);
    if (!test.not_values.empty()) AddTest(test, test.not_values, true, domains);
  }
  return {first, Size(tests_)};
}

void Rules::AddTest(const AttributeTest& test,
                    const std::vector<std::string>& values, bool negated,
                    const TrustDomains& domains) {
  Test added{test.attribute, negated, 0, {}};
  if (!test.name.empty()) {
    added.name = Size(names_);
    names_.push_back(test.name);
  }
  if (IsAddress(test.attribute)) {
    added.values.first = Size(blocks_);
    for (const std::string& value : values) {
      const auto block = base::Cidr::Parse(value);
      if (block.ok()) blocks_.push_back(*block);
    }
    added.values.end = Size(blocks_);
  } else if (test.attribute == Attribute::kPort) {
    added.values.first = Size(ports_);
    for (const std::string& value : values) {
      uint32_t port = 0;
      if (absl::SimpleAtoi(base::ToAbsl(value), &port) && port <= 65535) {
        ports_.push_back(static_cast<uint16_t>(port));
      }
    }
    added.values.end = Size(ports_);
  } else {
    added.values.first = Size(patterns_);
    const bool named = test.attribute == Attribute::kPrincipal;
    const auto spelt =
        named ? domains.Expand(values) : std::vector<std::string>();
    for (const std::string& value : named ? spelt : values) {
      patterns_.emplace_back(test.attribute, value);
    }
    added.values.end = Size(patterns_);
  }
  tests_.push_back(added);
}

int Rules::FindMatch(const Facts& facts) const {
  const bool blind = !facts.is_http() && !facts.connection().http_to_come &&
                     policy_->action == Action::kAllow;
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (blind && rules_[i].http) continue;
    if (Holds(rules_[i], facts)) return static_cast<int>(i);
  }
  return -1;
}

bool Rules::AsksForHttp(uint16_t port) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    if (!rule.http || !Concern(rule.when, port)) return false;
    if (rule.to.empty()) return true;
    for (uint32_t i = rule.to.first; i < rule.to.end; ++i) {
      if (Concern(alternatives_[i], port)) return true;
    }
    return false;
  });
}

bool Rules::Concern(Range tests, uint16_t port) const {
  for (uint32_t i = tests.first; i < tests.end; ++i) {
    const Test& test = tests_[i];
    if (test.attribute != Attribute::kPort) continue;
    const auto end = ports_.begin() + test.values.end;
    const bool listed =
        std::find(ports_.begin() + test.values.first, end, port) != end;
    if (listed == test.negated) return false;
  }
  return true;
}

bool Rules::Holds(const Rule& rule, const Facts& facts) const {
  return AllHold(rule.when, facts) && AnyHolds(rule.from, facts) &&
         AnyHolds(rule.to, facts);
}

bool Rules::AnyHolds(Range alternatives, const Facts& facts) const {
  if (alternatives.empty()) return true;
  for (uint32_t i = alternatives.first; i < alternatives.end; ++i) {
    if (AllHold(alternatives_[i], facts)) return true;
  }
  return false;
}

bool Rules::AllHold(Range tests, const Facts& facts) const {
  for (uint32_t i = tests.first; i < tests.end; ++i) {
    const Test& test = tests_[i];
    if (!facts.is_http() && IsHttp(test.attribute)) {
      const bool hopes = facts.connection().http_to_come;
      if (hopes && policy_->action != Action::kAllow) return false;
      // What cannot be told is not asked; of ALLOW see FindMatch.
      continue;
    }
    if (MatchesOne(test, facts) == test.negated) return false;
  }
  return true;
}

bool Rules::MatchesOne(const Test& test, const Facts& facts) const {
  const Connection& connection = facts.connection();
  switch (test.attribute) {
    case Attribute::kSourceIp:
    case Attribute::kRemoteIp:
      return InBlocks(test.values, connection.source);
    case Attribute::kDestinationIp:
      return InBlocks(test.values, connection.destination);
    case Attribute::kPort:
      return std::find(ports_.begin() + test.values.first,
                       ports_.begin() + test.values.end,
                       connection.port) != ports_.begin() + test.values.end;
    default:
      break;
  }
  const std::string_view* const text =
      facts.Text(test.attribute, names_[test.name]);
  if (text == nullptr) return false;
  for (uint32_t i = test.values.first; i < test.values.end; ++i) {
    if (patterns_[i].Matches(*text)) return true;
  }
  return false;
}

bool Rules::InBlocks(Range blocks, const base::IpAddress& address) const {
  if (address.is_unspecified()) return false;
  for (uint32_t i = blocks.first; i < blocks.end; ++i) {
    const base::Cidr& block = blocks_[i];
    // ::/0 is every IPv6 address; an IPv4 one is of another family, although it
    // is held in the same form.
    if (block.address().is_v4() == address.is_v4() && block.Contains(address)) {
      return true;
    }
  }
  return false;
}

}  // namespace nodeward::policy
