// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/ip.h"
#include "model/snapshot.h"

namespace nodeward::policy {

// What to do with a connection that a pod makes to `destination`.
struct Route {
  enum class Kind {
    kTunnel,     // mTLS to `workload` at `address`
    kPlaintext,  // `address` is not of the mesh, or its mode is DISABLE
    kHold,       // inside meshCIDRs and not known yet: wait, send nothing
    kRefuse,     // no ready endpoint, no such port, disputed address
  };
  Kind kind = Kind::kRefuse;
  base::Endpoint address;  // pod IP and workload port after the Service
  std::shared_ptr<const model::Workload> workload;  // kTunnel; else may be null
  std::shared_ptr<const model::Service> service;    // null: no VIP was used
  std::string reason;                               // kRefuse, kHold
};

// `pick` chooses among the ready endpoints (any number; taken modulo their
// count), so that the decision stays pure. `held` tells whether `destination`
// lies inside meshCIDRs. A kPlaintext route through a service with a null
// `workload` leads to an address that the snapshot does not know: whoever has
// meshCIDRs asks again for that address.
Route RouteTo(const model::Snapshot& snapshot,
              const base::Endpoint& destination, bool held, uint64_t pick);

}  // namespace nodeward::policy
