// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "model/authorization.h"
#include "policy/pattern.h"
#include "policy/request.h"
#include "policy/trust_domain.h"

namespace nodeward::policy {

// One AuthorizationPolicy made ready to be asked: everything in a few flat
// arrays, in the order in which it is looked at. Immutable.
class Rules {
 public:
  using Action = model::AuthorizationPolicy::Action;

  Rules(std::shared_ptr<const model::AuthorizationPolicy> policy,
        const TrustDomains& domains);

  const model::AuthorizationPolicy& policy() const { return *policy_; }
  const std::shared_ptr<const model::AuthorizationPolicy>& shared_policy()
      const {
    return policy_;
  }

  // Is there a rule that asks for HTTP attributes of what goes to `port`?
  bool AsksForHttp(uint16_t port) const;

  // The index of the first rule that holds; -1: none. Of a stream that is not
  // HTTP nobody can tell HTTP attributes, and it must not pay to hide HTTP: an
  // ALLOW rule that asks for one does not hold, for the other actions it is as
  // if it did not ask. Of HTTP to come the best is hoped: the other way round.
  int FindMatch(const Facts& facts) const;

 private:
  struct Range {
    uint32_t first = 0;
    uint32_t end = 0;
    bool empty() const { return first == end; }
  };
  // One of the values, or (negated) none of them.
  struct Test {
    model::Attribute attribute;
    bool negated;
    uint32_t name;  // in names_
    Range values;   // in blocks_, ports_ or patterns_
  };
  struct Rule {
    Range from;  // in alternatives_
    Range to;    // in alternatives_
    Range when;  // in tests_
    bool http = false;
  };

  Range AddTests(const model::AttributeTests& tests,
                 const TrustDomains& domains, Rule* rule);
  Range AddAlternatives(const std::vector<model::AttributeTests>& alternatives,
                        const TrustDomains& domains, Rule* rule);
  void AddTest(const model::AttributeTest& test,
               const std::vector<std::string>& values, bool negated,
               const TrustDomains& domains);
  bool Holds(const Rule& rule, const Facts& facts) const;
  bool AnyHolds(Range alternatives, const Facts& facts) const;
  // Does no test on ports among them exclude `port`?
  bool Concern(Range tests, uint16_t port) const;
  bool AllHold(Range tests, const Facts& facts) const;
  bool MatchesOne(const Test& test, const Facts& facts) const;
  bool InBlocks(Range blocks, const base::IpAddress& address) const;

  const std::shared_ptr<const model::AuthorizationPolicy> policy_;
  std::vector<Rule> rules_;
  std::vector<Range> alternatives_;  // of tests
  std::vector<Test> tests_;
  std::vector<Pattern> patterns_;
  std::vector<base::Cidr> blocks_;
  std::vector<uint16_t> ports_;
  std::vector<std::string> names_;  // of headers; the first is empty
};

}  // namespace nodeward::policy
