// SPDX-License-Identifier: Apache-2.0
#include "policy/destination.h"

#include <algorithm>

#include "base/text.h"
#include "policy/authn.h"

namespace nodeward::policy {
namespace {

Route Refuse(const base::Endpoint& address, std::string reason) {
  Route route;
  route.kind = Route::Kind::kRefuse;
  route.address = address;
  route.reason = std::move(reason);
  return route;
}

// How `workload` (null: nothing is known of it) is to be spoken to.
Route ToPod(const model::Snapshot& snapshot, const base::Endpoint& address,
            std::shared_ptr<const model::Workload> workload) {
  Route route;
  route.address = address;
  route.kind = Route::Kind::kPlaintext;
  if (workload != nullptr) {
    if (workload->membership == model::Membership::kConflict) {
      return Refuse(address,
                    base::StrCat("the address of ", workload->QualifiedName(),
                                 " is claimed by another pod too"));
    }
    if (workload->in_mesh() &&
        MtlsFor(snapshot, *workload, address.port).mode !=
            model::MtlsMode::kDisable) {
      route.kind = Route::Kind::kTunnel;
    }
  }
  route.workload = std::move(workload);
  return route;
}

// Addresses at which nobody may be spoken to, whoever is asked for there.
std::string Barred(const model::Snapshot& snapshot,
                   const base::IpAddress& address) {
  if (snapshot.conflicting_ips.contains(address)) {
    return base::StrCat("two pods claim ", address.ToString());
  }
  // It may still run and still be STRICT: not in plaintext, and it speaks no
  // HBONE any more.
  const auto departed = snapshot.departed_by_ip.find(address);
  if (departed != snapshot.departed_by_ip.end()) {
    return base::StrCat("pod ", departed->second->QualifiedName(),
                        " has ended");
  }
  return "";
}

// One of the ready endpoints, if it can be of the family that was asked for:
// what the client sees of its peer then stays of that family.
const model::ServiceEndpoint& Pick(
    const std::vector<model::ServiceEndpoint>& ready, bool v4, uint64_t pick) {
  const auto middle = std::partition_point(
      ready.begin(), ready.end(),
      [](const auto& each) { return each.address.address.is_v4(); });
  const auto first = v4 ? ready.begin() : middle;
  const size_t count = v4 ? middle - ready.begin() : ready.end() - middle;
  return count == 0 ? ready[pick % ready.size()] : first[pick % count];
}

Route ToService(const model::Snapshot& snapshot,
                const base::Endpoint& destination,
                const std::shared_ptr<const model::Service>& service,
                uint64_t pick) {
  const auto refuse = [&](std::string_view what) {
    Route route = Refuse(destination,
                         base::StrCat("service ", service->name_space, "/",
                                      service->name, what, destination.port));
    route.service = service;
    return route;
  };
  const model::ServicePort* const port = service->FindPort(destination.port);
  if (port == nullptr) return refuse(" has no port ");
  if (port->ready.empty()) return refuse(" has no ready endpoint for port ");
  const model::ServiceEndpoint& endpoint =
      Pick(port->ready, destination.address.is_v4(), pick);
  std::string barred = Barred(snapshot, endpoint.address.address);
  Route route = barred.empty()
                    ? ToPod(snapshot, endpoint.address, endpoint.workload)
                    : Refuse(endpoint.address, std::move(barred));
  route.service = service;
  return route;
}

}  // namespace

Route RouteTo(const model::Snapshot& snapshot,
              const base::Endpoint& destination, bool held, uint64_t pick) {
  const auto service = snapshot.service_by_ip.find(destination.address);
  if (service != snapshot.service_by_ip.end()) {
    return ToService(snapshot, destination, service->second, pick);
  }
  const auto workload = snapshot.workload_by_ip.find(destination.address);
  if (workload != snapshot.workload_by_ip.end()) {
    return ToPod(snapshot, destination, workload->second);
  }
  if (std::string barred = Barred(snapshot, destination.address);
      !barred.empty()) {
    return Refuse(destination, std::move(barred));
  }
  Route route;
  route.address = destination;
  route.kind = held ? Route::Kind::kHold : Route::Kind::kPlaintext;
  if (held) {
    route.reason = base::StrCat("nothing is known yet of ",
                                destination.address.ToString());
  }
  return route;
}

}  // namespace nodeward::policy
