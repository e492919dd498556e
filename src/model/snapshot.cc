// SPDX-License-Identifier: Apache-2.0
#include "model/snapshot.h"

#include <algorithm>
#include <tuple>

#include "base/text.h"

namespace nodeward::model {
namespace {

void IndexWorkloads(Snapshot* snapshot) {
  auto& by_ip = snapshot->workload_by_ip;
  auto& conflicting = snapshot->conflicting_ips;
  by_ip.reserve(snapshot->workloads.size());
  for (const auto& workload : snapshot->workloads) {
    if (workload->membership == Membership::kHostNetwork ||
        workload->membership == Membership::kTerminal) {
      continue;
    }
    for (const base::IpAddress& ip : workload->ips) {
      const auto [owner, fresh] = by_ip.try_emplace(ip, workload);
      if (!fresh && owner->second != workload) conflicting.insert(ip);
    }
  }
  for (const base::IpAddress& ip : conflicting) by_ip.erase(ip);
  for (const auto& workload : snapshot->workloads) {
    if (workload->membership != Membership::kTerminal || !workload->opted_in) {
      continue;
    }
    for (const base::IpAddress& ip : workload->ips) {
      if (by_ip.contains(ip) || conflicting.contains(ip)) continue;
      snapshot->departed_by_ip.try_emplace(ip, workload);
    }
  }
}

void IndexServed(const std::shared_ptr<const Service>& service,
                 std::vector<ServiceEndpoint> ServicePort::*list,
                 Snapshot* snapshot) {
  for (const ServicePort& port : service->ports) {
    for (const ServiceEndpoint& endpoint : port.*list) {
      snapshot->served_by_endpoint.try_emplace(
          endpoint.address, Snapshot::Served{service.get(), &port});
    }
  }
}

void IndexServices(Snapshot* snapshot) {
  for (const auto list : {&ServicePort::ready, &ServicePort::unready}) {
    for (const auto& service : snapshot->services) {
      IndexServed(service, list, snapshot);
    }
  }
  for (const auto& service : snapshot->services) {
    for (const base::IpAddress& ip : service->cluster_ips) {
      snapshot->service_by_ip.try_emplace(ip, service);
    }
    if (!service->cluster_ips.empty()) continue;
    for (const ServicePort& port : service->ports) {
      for (const auto* list : {&port.ready, &port.unready}) {
        for (const ServiceEndpoint& endpoint : *list) {
          snapshot->headless_by_endpoint.try_emplace(
              endpoint.address,
              Snapshot::Headless{service, port.port, &endpoint});
        }
      }
    }
  }
}

void IndexPolicies(Snapshot* snapshot) {
  auto& policies = snapshot->peer_authentications;
  std::stable_sort(
      policies.begin(), policies.end(),
      [](const PeerAuthentication& a, const PeerAuthentication& b) {
        return std::tie(a.created, a.name, a.name_space) <
               std::tie(b.created, b.name, b.name_space);
      });
  for (uint32_t i = 0; i < policies.size(); ++i) {
    auto& scope = snapshot->authentication_scopes[policies[i].name_space];
    (policies[i].selector.empty() ? scope.whole : scope.selecting).push_back(i);
  }
  for (uint32_t i = 0; i < snapshot->closing_policies.size(); ++i) {
    const ClosingPolicy& policy = snapshot->closing_policies[i];
    const std::string scope = policy.mesh_wide ? "" : policy.name_space;
    snapshot->closing_scopes[scope].push_back(i);
  }
  auto& authorization = snapshot->authorization_policies;
  std::stable_sort(authorization.begin(), authorization.end(),
                   [](const auto& a, const auto& b) {
                     return std::tie(a->name_space, a->name) <
                            std::tie(b->name_space, b->name);
                   });
  for (uint32_t i = 0; i < authorization.size(); ++i) {
    const AuthorizationPolicy& policy = *authorization[i];
    const std::string scope = policy.mesh_wide ? "" : policy.name_space;
    snapshot->authorization_scopes[scope].push_back(i);
  }
}

void IndexRules(Snapshot* snapshot) {
  auto& rules = snapshot->destination_rules;
  std::stable_sort(rules.begin(), rules.end(),
                   [](const auto& a, const auto& b) {
                     return std::tie(a->created, a->name, a->name_space) <
                            std::tie(b->created, b->name, b->name_space);
                   });
  for (uint32_t i = 0; i < rules.size(); ++i) {
    auto& scope = snapshot->rule_scopes[rules[i]->name_space];
    const bool secures = rules[i]->Secures();
    if (rules[i]->host.starts_with('*')) {
      scope.wildcard.push_back(i);
      if (secures) snapshot->secured_wildcards.push_back(rules[i]);
    } else {
      scope.exact[rules[i]->host].push_back(i);
      if (secures) snapshot->secured_hosts.insert(rules[i]->host);
    }
  }
}

}  // namespace

std::string Problem::ToString() const {
  std::string text = file;
  if (line > 0) base::StrAppend(&text, ":", line);
  if (!text.empty()) text += ": ";
  if (!object.empty()) base::StrAppend(&text, object, ": ");
  return text + reason;
}

const Workload* Snapshot::FindWorkload(const base::IpAddress& ip) const {
  const auto found = workload_by_ip.find(ip);
  return found == workload_by_ip.end() ? nullptr : found->second.get();
}

const Service* Snapshot::FindService(const base::IpAddress& ip) const {
  const auto found = service_by_ip.find(ip);
  return found == service_by_ip.end() ? nullptr : found->second.get();
}

Snapshot::Served Snapshot::FindServed(const Workload& workload,
                                      uint16_t port) const {
  for (const base::IpAddress& ip : workload.ips) {
    const auto found = served_by_endpoint.find(base::Endpoint{ip, port});
    if (found != served_by_endpoint.end()) return found->second;
  }
  return {};
}

PortTraits Snapshot::TraitsOf(const Workload& workload, uint16_t port) const {
  const Served served = FindServed(workload, port);
  if (served.port != nullptr && served.port->protocol != Protocol::kUnknown) {
    return {served.port->protocol, served.port->no_sniff_wait};
  }
  for (const ContainerPort& declared : workload.ports) {
    if (declared.port == port) return declared.traits;
  }
  return {};
}

bool Snapshot::IsSecuredByRule(const Service& service) const {
  if (secured_hosts.empty() && secured_wildcards.empty()) return false;
  const std::string host = service.Hostname();
  return secured_hosts.contains(host) ||
         std::any_of(secured_wildcards.begin(), secured_wildcards.end(),
                     [&](const auto& rule) { return rule->Covers(host); });
}

void Snapshot::Finish() {
  workload_by_ip.clear();
  conflicting_ips.clear();
  departed_by_ip.clear();
  service_by_ip.clear();
  served_by_endpoint.clear();
  headless_by_endpoint.clear();
  rule_scopes.clear();
  secured_hosts.clear();
  secured_wildcards.clear();
  authentication_scopes.clear();
  closing_scopes.clear();
  authorization_scopes.clear();
  IndexWorkloads(this);
  IndexServices(this);
  IndexPolicies(this);
  IndexRules(this);
}

}  // namespace nodeward::model
