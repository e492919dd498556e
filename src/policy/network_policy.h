// SPDX-License-Identifier: Apache-2.0
//
// What the cluster network's own NetworkPolicies do to tunnels. They are
// enforced by others (or, with some CNI plugins, by nobody); here is only told
// what they would stop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "model/snapshot.h"

namespace nodeward::policy {

// Where tunnels go, whatever the application's port.
inline constexpr uint16_t kTunnelPort = 15008;

enum class Way { kIn, kOut };

using NetworkPolicies =
    std::vector<std::shared_ptr<const model::NetworkPolicy>>;

// The policies that select `pod` if together they keep it from being spoken to
// (kIn), or from speaking (kOut), at TCP `port`; else none. `other` is the pod
// at the other end, as which every rule's peers are judged; null: whichever a
// rule may mean. Of its addresses those of the family of `destination` count,
// where the packets go; null: all. Policies add up: what one of them lets
// through, passes.
NetworkPolicies Blocking(const model::Snapshot& snapshot,
                         const model::Workload& pod, Way way, uint16_t port,
                         const model::Workload* other,
                         const base::IpAddress* destination = nullptr);

// "NetworkPolicy full/deny-all selects the pod and does not allow TCP 15008";
// empty: none stands between `client` and `destination`, an address of
// `server`.
std::string WhyTunnelIsBlocked(const model::Snapshot& snapshot,
                               const model::Workload& client,
                               const model::Workload& server,
                               const base::IpAddress& destination);

// A policy and whom of the mesh's pods it keeps from tunnels.
struct BlockedPods {
  std::shared_ptr<const model::NetworkPolicy> policy;
  std::vector<std::string> pods;  // "full/httpbin", sorted
};

// Of the pods of `node` that are in the mesh; by the policies' names.
std::vector<BlockedPods> FindBlockedPods(const model::Snapshot& snapshot,
                                         const std::string& node, Way way);

}  // namespace nodeward::policy
