// SPDX-License-Identifier: Apache-2.0
#include "capture/destinations.h"

#include <algorithm>
#include <map>
#include <optional>

namespace nodeward::capture {
namespace {

kernel::Destination OfMesh() {
  kernel::Destination destination;
  destination.of_mesh = true;
  return destination;
}

kernel::Destination Refused() {
  kernel::Destination destination = OfMesh();
  destination.action = kernel::Action::kRefuse;
  return destination;
}

bool ServedByMesh(const model::Service& service) {
  for (const model::ServicePort& port : service.ports) {
    for (const model::ServiceEndpoint& endpoint : port.ready) {
      if (endpoint.workload != nullptr && endpoint.workload->in_mesh()) {
        return true;
      }
    }
  }
  return false;
}

// No value: left alone.
std::optional<kernel::Destination> DestinationOf(
    const model::Snapshot& snapshot, const model::Service& service) {
  const bool any_ready = std::any_of(
      service.ports.begin(), service.ports.end(),
      [](const model::ServicePort& port) { return !port.ready.empty(); });
  // The ports that the service does not have are refused, too.
  kernel::Destination destination = Refused();
  if (!any_ready) return destination;
  destination.of_mesh = ServedByMesh(service);
  // Nobody but the agent knows the addresses of a ServiceEntry.
  if (!destination.of_mesh && !snapshot.IsSecuredByRule(service) &&
      service.host.empty()) {
    return std::nullopt;
  }
  for (const model::ServicePort& port : service.ports) {
    if (port.ready.empty()) continue;
    destination.ports.emplace_back(port.port, kernel::Action::kCapture);
  }
  std::sort(destination.ports.begin(), destination.ports.end());
  destination.ports.erase(
      std::unique(destination.ports.begin(), destination.ports.end()),
      destination.ports.end());
  return destination;
}

}  // namespace

std::vector<kernel::Destination> DestinationsOf(
    const model::Snapshot& snapshot) {
  // Later ones win: an address in dispute is refused, whatever else it is.
  std::map<base::IpAddress, kernel::Destination> by_address;
  for (const auto& [address, service] : snapshot.service_by_ip) {
    if (auto destination = DestinationOf(snapshot, *service)) {
      by_address[address] = *std::move(destination);
    }
  }
  for (const auto& service : snapshot.services) {
    if (!service->cluster_ips.empty() || !snapshot.IsSecuredByRule(*service)) {
      continue;
    }
    for (const model::ServicePort& port : service->ports) {
      for (const auto* list : {&port.ready, &port.unready}) {
        for (const model::ServiceEndpoint& endpoint : *list) {
          by_address[endpoint.address.address] = {};
        }
      }
    }
  }
  for (const auto& [address, workload] : snapshot.workload_by_ip) {
    if (workload->in_mesh()) by_address[address] = OfMesh();
  }
  for (const auto& [address, departed] : snapshot.departed_by_ip) {
    by_address[address] = Refused();
  }
  for (const base::IpAddress& address : snapshot.conflicting_ips) {
    by_address[address] = Refused();
  }
  std::vector<kernel::Destination> destinations;
  destinations.reserve(by_address.size());
  for (auto& [address, destination] : by_address) {
    destination.address = address;
    destinations.push_back(std::move(destination));
  }
  return destinations;
}

}  // namespace nodeward::capture
