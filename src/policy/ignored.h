// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "model/snapshot.h"
#include "policy/request.h"

namespace nodeward::policy {

// A policy that lies in the scope of a workload and does not count there, in
// whole or in part.
struct IgnoredPolicy {
  std::string kind;
  std::string policy;  // "ns/name"
  std::string reason;
};

// Those that do not count for `connection` to `workload`.
std::vector<IgnoredPolicy> FindIgnored(const model::Snapshot& snapshot,
                                       const model::Workload& workload,
                                       const Connection& connection);

}  // namespace nodeward::policy
