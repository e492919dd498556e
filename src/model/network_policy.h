// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "model/workload.h"

namespace nodeward::model {

// Kubernetes' metav1.LabelSelector. An empty one selects all.
struct LabelSelector {
  enum class Operator { kIn, kNotIn, kExists, kDoesNotExist };
  struct Requirement {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values;  // of kIn and kNotIn

    bool Holds(const Labels& of) const;
    friend bool operator==(const Requirement&, const Requirement&) = default;
  };
  Labels labels;  // matchLabels
  std::vector<Requirement> requirements;

  bool Selects(const Labels& of) const;
  friend bool operator==(const LabelSelector&, const LabelSelector&) = default;
};

// A networking.k8s.io NetworkPolicy, as far as it concerns TCP. The cluster's
// network enforces it, not we: it is known so that what it stops can be told.
struct NetworkPolicy {
  struct Port {
    std::string name;  // of a container port; empty: by number
    uint16_t first = 1;
    uint16_t last = 65535;

    friend bool operator==(const Port&, const Port&) = default;
  };
  // A block of addresses, or pods by their labels and those of their
  // namespace; without `namespaces` those of the policy's own.
  struct Peer {
    std::optional<base::Cidr> block;
    std::vector<base::Cidr> except;
    std::optional<LabelSelector> pods;
    std::optional<LabelSelector> namespaces;

    friend bool operator==(const Peer&, const Peer&) = default;
  };
  struct Rule {
    bool any_port = false;  // else `ports`, of TCP; may be none
    std::vector<Port> ports;
    bool anybody = false;  // else `peers`
    std::vector<Peer> peers;

    friend bool operator==(const Rule&, const Rule&) = default;
  };

  std::string name;
  std::string name_space;
  LabelSelector pods;
  // What is let in and out. nullopt: this policy does not say (policyTypes).
  std::optional<std::vector<Rule>> ingress;
  std::optional<std::vector<Rule>> egress;

  std::string QualifiedName() const { return name_space + "/" + name; }
};

}  // namespace nodeward::model
