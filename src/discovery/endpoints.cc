// SPDX-License-Identifier: Apache-2.0
#include "discovery/endpoints.h"

#include <algorithm>
#include <utility>

namespace nodeward::discovery {
namespace {

using model::Membership;

// Nobody is sent to a pod that has ended or whose address is disputed.
bool CanServe(const model::Workload& workload) {
  return workload.membership != Membership::kTerminal &&
         workload.membership != Membership::kConflict;
}

// A service with virtual addresses has endpoints of their families only.
bool ServesFamily(const model::Service& service, const base::IpAddress& ip) {
  return service.cluster_ips.empty() ||
         std::any_of(
             service.cluster_ips.begin(), service.cluster_ips.end(),
             [&](const auto& own) { return own.is_v4() == ip.is_v4(); });
}

uint16_t TargetPort(const Service::Port& port,
                    const model::Workload& workload) {
  if (port.target != 0) return port.target;
  for (const model::ContainerPort& declared : workload.ports) {
    if (declared.name == port.target_name) return declared.port;
  }
  return 0;
}

}  // namespace

EndpointResolver::EndpointResolver(
    const Workloads& workloads, const std::vector<const Service*>& services,
    const std::vector<const EndpointSlice*>& slices) {
  for (const EndpointSlice* slice : slices) {
    if (slice->service.empty()) continue;
    slices_[{slice->name_space, slice->service}].push_back(slice);
  }
  for (const Service* service : services) {
    if (service->selector.empty()) continue;
    const auto& [key, value] = *service->selector.begin();
    by_label_.try_emplace(Pair{service->name_space, key, value});
  }
  for (const Workload& workload : workloads) {
    if (!CanServe(*workload)) continue;
    for (const auto& [key, value] : workload->labels) {
      const auto found = by_label_.find(Pair{workload->name_space, key, value});
      if (found != by_label_.end()) found->second.push_back(&workload);
    }
  }
  if (slices_.empty()) return;
  for (const Workload& workload : workloads) {
    // Of several pods with one address those that live come first.
    for (const base::IpAddress& ip : workload->ips) {
      if (workload->membership == Membership::kHostNetwork) continue;
      const auto [entry, fresh] = by_ip_.try_emplace(ip, &workload);
      if (!fresh && !CanServe(**entry->second)) entry->second = &workload;
    }
  }
}

std::shared_ptr<const model::Service> EndpointResolver::Resolve(
    const Service& service) const {
  auto result = std::make_shared<model::Service>();
  result->name = service.name;
  result->name_space = service.name_space;
  result->cluster_ips = service.cluster_ips;
  result->local_only = service.local_only;
  result->ports.reserve(service.ports.size());
  for (const Service::Port& port : service.ports) {
    result->ports.push_back({port.name,
                             port.port,
                             port.traits.protocol,
                             port.traits.no_sniff_wait,
                             {}});
  }
  const auto slices = slices_.find({service.name_space, service.name});
  if (slices != slices_.end()) {
    FromSlices(slices->second, result.get());
  } else {
    FromSelector(service, result.get());
  }
  for (model::ServicePort& port : result->ports) {
    // RouteTo finds those of one family by this order.
    std::stable_partition(
        port.ready.begin(), port.ready.end(),
        [](const auto& endpoint) { return endpoint.address.address.is_v4(); });
  }
  return result;
}

void EndpointResolver::FromSlices(
    const std::vector<const EndpointSlice*>& slices,
    model::Service* result) const {
  for (const EndpointSlice* slice : slices) {
    for (const EndpointSlice::Port& from : slice->ports) {
      const auto port =
          std::find_if(result->ports.begin(), result->ports.end(),
                       [&](const auto& to) { return to.name == from.name; });
      if (port == result->ports.end()) continue;
      for (const EndpointSlice::Endpoint& endpoint : slice->endpoints) {
        auto& list = endpoint.ready ? port->ready : port->unready;
        for (const base::IpAddress& ip : endpoint.addresses) {
          const auto found = by_ip_.find(ip);
          if (found == by_ip_.end()) {
            list.push_back({{ip, from.port}, nullptr, endpoint.node});
          } else if (CanServe(**found->second)) {
            list.push_back(
                {{ip, from.port}, *found->second, (*found->second)->node});
          }
        }
      }
    }
  }
}

void EndpointResolver::FromSelector(const Service& service,
                                    model::Service* result) const {
  if (service.selector.empty()) return;
  const auto& [key, value] = *service.selector.begin();
  const auto candidates = by_label_.find(Pair{service.name_space, key, value});
  if (candidates == by_label_.end()) return;
  for (const Workload* workload : candidates->second) {
    const bool ready = (*workload)->ready || service.publish_not_ready;
    if (!model::Selects(service.selector, (*workload)->labels)) continue;
    for (size_t i = 0; i < service.ports.size(); ++i) {
      const uint16_t target = TargetPort(service.ports[i], **workload);
      if (target == 0) continue;
      for (const base::IpAddress& ip : (*workload)->ips) {
        if (!ServesFamily(*result, ip)) continue;
        model::ServicePort& port = result->ports[i];
        (ready ? port.ready : port.unready)
            .push_back({{ip, target}, *workload, (*workload)->node});
      }
    }
  }
}

}  // namespace nodeward::discovery
