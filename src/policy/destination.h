// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "model/snapshot.h"

namespace nodeward::policy {

// What to do with a connection that a pod makes to `destination`.
struct Route {
  enum class Kind {
    kTunnel,     // mTLS to `workload` at `address`
    kOriginate,  // TLS to `address` itself, as `rule` says
    kPlaintext,  // `address` is not of the mesh, or its mode is DISABLE, or
                 // `rule` wants it so
    kHold,       // inside meshCIDRs and not known yet: wait, send nothing
    kRefuse,     // no ready endpoint, no such port, disputed address; or a
                 // rule that cannot be followed
  };
  Kind kind = Kind::kRefuse;
  base::Endpoint address;  // pod IP and workload port after the Service
  std::shared_ptr<const model::Workload> workload;  // kTunnel; else may be null
  // Null: neither a VIP nor an endpoint of a headless service was asked for.
  std::shared_ptr<const model::Service> service;
  std::string reason;      // kRefuse, kHold
  bool forbidden = false;  // kRefuse by what somebody wrote, not by what is
                           // there: what is open must be closed, too
  // The DestinationRule that decided; null: none did. Then `tls` is its part
  // for this port (null when it is broken), and with kOriginate `server_name`
  // is who the server must be; empty: anybody with the right CA.
  std::shared_ptr<const model::DestinationRule> rule;
  const model::ClientTls* tls = nullptr;
  std::string server_name;
};

// `client`: the pod that makes it; null: nobody whose rules are known.
// `tried`: endpoints of the service that have failed it already, in any order;
// when there is no other, the route is kRefuse.
// `pick` chooses among the ready endpoints (any number; taken modulo their
// count), so that the decision stays pure. `held` tells whether `destination`
// lies inside meshCIDRs. A kPlaintext route through a service with a null
// `workload` leads to an address that the snapshot does not know: whoever has
// meshCIDRs asks again for that address.
Route RouteTo(const model::Snapshot& snapshot, const model::Workload* client,
              const base::Endpoint& destination, bool held, uint64_t pick,
              const std::vector<base::Endpoint>& tried = {});

// How a connection made to `destination`, which RouteTo once led to `address`,
// would go there now.
Route RouteAgain(const model::Snapshot& snapshot, const model::Workload* client,
                 const base::Endpoint& destination,
                 const base::Endpoint& address, bool held);

}  // namespace nodeward::policy
