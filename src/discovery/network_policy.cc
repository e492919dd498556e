// SPDX-License-Identifier: Apache-2.0
#include "discovery/network_policy.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nodeward::discovery {
namespace {

using model::LabelSelector;
using model::NetworkPolicy;

std::vector<std::string> ReadTexts(const Field& list) {
  std::vector<std::string> texts;
  for (const Field& item : list.Items()) texts.push_back(item.Text());
  return texts;
}

LabelSelector::Requirement ReadRequirement(const Field& item) {
  using Operator = LabelSelector::Operator;
  LabelSelector::Requirement requirement;
  requirement.key = item["key"].Text();
  requirement.values = ReadTexts(item["values"]);
  const std::string op = item["operator"].Text();
  if (op == "In") {
    requirement.op = Operator::kIn;
  } else if (op == "NotIn") {
    requirement.op = Operator::kNotIn;
  } else if (op == "Exists") {
    requirement.op = Operator::kExists;
  } else if (op == "DoesNotExist") {
    requirement.op = Operator::kDoesNotExist;
  } else {
    item["operator"].Flaw("must be In, NotIn, Exists or DoesNotExist");
  }
  return requirement;
}

LabelSelector ReadSelector(const Field& field) {
  LabelSelector selector;
  selector.labels = field["matchLabels"].StringMap();
  for (const Field& item : field["matchExpressions"].Items()) {
    selector.requirements.push_back(ReadRequirement(item));
  }
  return selector;
}

// Of TCP; nullopt: of another protocol, or flawed.
std::optional<NetworkPolicy::Port> ReadPort(const Field& item) {
  NetworkPolicy::Port port;
  if (item["protocol"].Text("TCP") != "TCP") return std::nullopt;
  const Field number = item["port"];
  const Field end = item["endPort"];
  if (number.is_text() || !number.present()) {
    port.name = number.Text();
    if (end.present()) end.Flaw("needs a port that is a number");
    return port;
  }
  const auto first = number.Port();
  const auto last = end.present() ? end.Port() : first;
  if (!first.has_value() || !last.has_value()) return std::nullopt;
  if (*last < *first) end.Flaw("must not be less than port");
  port.first = *first;
  port.last = *last;
  return port;
}

std::optional<base::Cidr> ReadBlock(const Field& field) {
  const auto block = base::Cidr::Parse(field.Text());
  if (block.ok()) return *block;
  field.Flaw("must be a block of addresses as 10.0.0.0/8");
  return std::nullopt;
}

NetworkPolicy::Peer ReadPeer(const Field& item) {
  NetworkPolicy::Peer peer;
  const Field block = item["ipBlock"];
  if (block.present()) {
    peer.block = ReadBlock(block["cidr"]);
    for (const Field& except : block["except"].Items()) {
      if (const auto one = ReadBlock(except)) peer.except.push_back(*one);
    }
  }
  if (item["podSelector"].present()) {
    peer.pods = ReadSelector(item["podSelector"]);
  }
  if (item["namespaceSelector"].present()) {
    peer.namespaces = ReadSelector(item["namespaceSelector"]);
  }
  if (!block.present() && !peer.pods.has_value() &&
      !peer.namespaces.has_value()) {
    item.Flaw("must have ipBlock, podSelector or namespaceSelector");
  }
  return peer;
}

// `peers`: "from" or "to".
std::vector<NetworkPolicy::Rule> ReadRules(const Field& rules,
                                           const char* peers) {
  std::vector<NetworkPolicy::Rule> read;
  for (const Field& item : rules.Items()) {
    NetworkPolicy::Rule rule;
    const auto ports = item["ports"].Items();
    const auto who = item[peers].Items();
    // Without the list, or with an empty one, nothing is asked of it.
    rule.any_port = ports.empty();
    rule.anybody = who.empty();
    for (const Field& port : ports) {
      if (auto one = ReadPort(port)) rule.ports.push_back(*std::move(one));
    }
    for (const Field& peer : who) rule.peers.push_back(ReadPeer(peer));
    read.push_back(std::move(rule));
  }
  return read;
}

}  // namespace

model::NetworkPolicy ReadNetworkPolicy(const Field& root,
                                       const Metadata& metadata) {
  NetworkPolicy policy;
  policy.name = metadata.name;
  policy.name_space = metadata.name_space;
  const Field spec = root["spec"];
  policy.pods = ReadSelector(spec["podSelector"]);
  auto ingress = ReadRules(spec["ingress"], "from");
  auto egress = ReadRules(spec["egress"], "to");
  auto types = ReadTexts(spec["policyTypes"]);
  if (types.empty()) {
    types.emplace_back("Ingress");
    if (!egress.empty()) types.emplace_back("Egress");
  }
  const auto concerns = [&](const char* type) {
    return std::find(types.begin(), types.end(), type) != types.end();
  };
  if (concerns("Ingress")) policy.ingress = std::move(ingress);
  if (concerns("Egress")) policy.egress = std::move(egress);
  return policy;
}

}  // namespace nodeward::discovery
