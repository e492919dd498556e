// SPDX-License-Identifier: Apache-2.0
#include "policy/network_policy.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/text.h"

namespace nodeward::policy {
namespace {

using model::NetworkPolicy;
using model::Snapshot;
using model::Workload;

// One question, and how one rule answers it.
class Judge {
 public:
  Judge(const Snapshot& snapshot, const Workload& pod, Way way, uint16_t port,
        const Workload* other, const base::IpAddress* destination)
      : snapshot_(snapshot),
        // Names are of the ports of whoever is spoken to.
        server_(way == Way::kIn ? &pod : other),
        other_(other),
        destination_(destination),
        port_(port) {}

  bool Allows(const NetworkPolicy& policy,
              const NetworkPolicy::Rule& rule) const {
    const bool port =
        rule.any_port ||
        std::any_of(rule.ports.begin(), rule.ports.end(),
                    [&](const auto& each) { return Covers(each); });
    if (!port || rule.anybody || other_ == nullptr) return port;
    return std::any_of(rule.peers.begin(), rule.peers.end(),
                       [&](const auto& each) { return IsMeant(policy, each); });
  }

 private:
  bool Covers(const NetworkPolicy::Port& port) const {
    if (port.name.empty()) return port.first <= port_ && port_ <= port.last;
    if (server_ == nullptr) return false;
    const auto& declared = *server_->ports;
    return std::any_of(declared.begin(), declared.end(), [&](const auto& each) {
      return each.name == port.name && each.port == port_;
    });
  }

  bool IsMeant(const NetworkPolicy& policy,
               const NetworkPolicy::Peer& peer) const {
    if (peer.block.has_value()) return IsInBlock(peer);
    if (peer.namespaces.has_value()) {
      const auto labels = snapshot_.namespace_labels.find(other_->name_space);
      if (labels == snapshot_.namespace_labels.end() ||
          !peer.namespaces->Selects(labels->second)) {
        return false;
      }
    } else if (other_->name_space != policy.name_space) {
      return false;
    }
    return !peer.pods.has_value() || peer.pods->Selects(other_->labels);
  }

  bool IsInBlock(const NetworkPolicy::Peer& peer) const {
    return std::any_of(
        other_->ips.begin(), other_->ips.end(), [&](const auto& ip) {
          return IsOfTheFamily(ip) && peer.block->Contains(ip) &&
                 std::none_of(
                     peer.except.begin(), peer.except.end(),
                     [&](const auto& except) { return except.Contains(ip); });
        });
  }

  bool IsOfTheFamily(const base::IpAddress& ip) const {
    return destination_ == nullptr || ip.is_v4() == destination_->is_v4();
  }

  const Snapshot& snapshot_;
  const Workload* const server_;
  const Workload* const other_;
  const base::IpAddress* const destination_;
  const uint16_t port_;
};

std::string Named(const NetworkPolicies& policies, std::string_view whom,
                  std::string_view what) {
  const bool many = policies.size() > 1;
  std::string text = many ? "NetworkPolicies " : "NetworkPolicy ";
  for (const auto& policy : policies) {
    if (policy != policies.front()) text += ", ";
    text += policy->QualifiedName();
  }
  base::StrAppend(&text, many ? " select " : " selects ", whom,
                  many ? " and do not allow " : " and does not allow ", what,
                  kTunnelPort);
  return text;
}

}  // namespace

NetworkPolicies Blocking(const Snapshot& snapshot, const Workload& pod, Way way,
                         uint16_t port, const Workload* other,
                         const base::IpAddress* destination) {
  const Judge judge(snapshot, pod, way, port, other, destination);
  NetworkPolicies selecting;
  const auto& all = snapshot.network_policies;
  auto policy =
      std::lower_bound(all.begin(), all.end(), pod.name_space,
                       [](const auto& each, const std::string& name_space) {
                         return each->name_space < name_space;
                       });
  for (; policy != all.end() && (*policy)->name_space == pod.name_space;
       ++policy) {
    const auto& rules =
        way == Way::kIn ? (*policy)->ingress : (*policy)->egress;
    if (!rules.has_value() || !(*policy)->pods.Selects(pod.labels)) continue;
    for (const NetworkPolicy::Rule& rule : *rules) {
      if (judge.Allows(**policy, rule)) return {};
    }
    selecting.push_back(*policy);
  }
  return selecting;
}

std::string WhyTunnelIsBlocked(const Snapshot& snapshot, const Workload& client,
                               const Workload& server,
                               const base::IpAddress& destination) {
  const auto in =
      Blocking(snapshot, server, Way::kIn, kTunnelPort, &client, &destination);
  const auto out =
      Blocking(snapshot, client, Way::kOut, kTunnelPort, &server, &destination);
  std::string why;
  if (!in.empty()) why = Named(in, "the pod", "TCP ");
  if (!out.empty()) {
    if (!why.empty()) why += "; ";
    why += Named(out, "the client", "egress to TCP ");
  }
  return why;
}

std::vector<BlockedPods> FindBlockedPods(const Snapshot& snapshot,
                                         const std::string& node, Way way) {
  std::map<std::string, BlockedPods> found;
  for (const auto& pod : snapshot.workloads) {
    if (pod->node != node || !pod->in_mesh()) continue;
    for (const auto& policy :
         Blocking(snapshot, *pod, way, kTunnelPort, nullptr)) {
      BlockedPods& blocked = found[policy->QualifiedName()];
      blocked.policy = policy;
      blocked.pods.push_back(pod->QualifiedName());
    }
  }
  std::vector<BlockedPods> all;
  all.reserve(found.size());
  for (auto& [name, blocked] : found) {
    std::sort(blocked.pods.begin(), blocked.pods.end());
    all.push_back(std::move(blocked));
  }
  return all;
}

}  // namespace nodeward::policy
