// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "model/snapshot.h"

namespace nodeward::policy {

// The DestinationRule that decides how `client` speaks to `service`, as Istio
// chooses it; null: none.
// - First the client's namespace, then the service's, then the root namespace;
//   of the last two only rules that exportTo shows to the client's.
// - There the most specific host: its own name before wildcards, the longer
//   wildcard before the shorter.
// - Of several with that host those whose workloadSelector selects the client
//   (in its namespace only) come before those without one; then the oldest
//   that says anything of TLS.
std::shared_ptr<const model::DestinationRule> FindDestinationRule(
    const model::Snapshot& snapshot, const model::Workload& client,
    const model::Service& service);

}  // namespace nodeward::policy
