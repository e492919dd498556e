// SPDX-License-Identifier: Apache-2.0
#include "discovery/service.h"

#include <algorithm>

namespace nodeward::discovery {
namespace {

void ReadClusterIps(const Field& spec, Service* service) {
  const auto add = [&](const Field& field) {
    if (field.is_text() && field.Text() == "None") return;  // headless
    const auto ip = field.Address();
    auto& ips = service->cluster_ips;
    if (ip.has_value() && std::find(ips.begin(), ips.end(), *ip) == ips.end()) {
      ips.push_back(*ip);
    }
  };
  add(spec["clusterIP"]);
  for (const Field& item : spec["clusterIPs"].Items()) add(item);
}

std::optional<Service::Port> ReadPort(const Field& item) {
  Service::Port port;
  port.name = item["name"].Text();
  const auto number = item["port"].Port();
  if (!item["port"].present()) item["port"].Flaw("is required");
  if (!number.has_value() || item["protocol"].Text("TCP") != "TCP") {
    return std::nullopt;
  }
  port.port = *number;
  port.traits = model::TraitsOfPort(item["appProtocol"].Text(), port.name);
  const Field target = item["targetPort"];
  if (target.is_text()) {
    port.target_name = target.Text();
    return port;
  }
  // 0 is what the API takes for "not given".
  const bool given = target.present() && target.value() != 0;
  const auto target_number = given ? target.Port() : number;
  if (!target_number.has_value()) return std::nullopt;
  port.target = *target_number;
  return port;
}

}  // namespace

Service ReadService(const Field& root, const Metadata& metadata) {
  Service service;
  const Field spec = root["spec"];
  service.name = metadata.name;
  service.name_space = metadata.name_space;
  ReadClusterIps(spec, &service);
  service.selector = spec["selector"].StringMap();
  const Field internal = spec["internalTrafficPolicy"];
  const std::string policy = internal.Text("Cluster");
  service.local_only = policy == "Local";
  if (policy != "Cluster" && policy != "Local") {
    internal.Note("must be Cluster or Local; Cluster is assumed");
  }
  if (spec["sessionAffinity"].Text("None") != "None") {
    spec["sessionAffinity"].Note(
        "is not honoured: each connection of a pod in the mesh goes to any "
        "ready endpoint");
  }
  service.publish_not_ready = spec["publishNotReadyAddresses"].Flag();
  for (const Field& item : spec["ports"].Lenient().Items()) {
    if (const auto port = ReadPort(item)) service.ports.push_back(*port);
  }
  return service;
}

EndpointSlice ReadEndpointSlice(const Field& root, const Metadata& metadata) {
  EndpointSlice slice;
  slice.name_space = metadata.name_space;
  const auto service = metadata.labels.find("kubernetes.io/service-name");
  if (service != metadata.labels.end()) slice.service = service->second;
  if (root["addressType"].Text() == "FQDN") return slice;
  for (const Field& item : root["ports"].Items()) {
    const std::string name = item["name"].Text();
    const auto port = item["port"].Port();
    if (port.has_value() && item["protocol"].Text("TCP") == "TCP") {
      slice.ports.push_back({name, *port});
    }
  }
  for (const Field& item : root["endpoints"].Items()) {
    EndpointSlice::Endpoint endpoint;
    for (const Field& address : item["addresses"].Items()) {
      if (const auto ip = address.Address()) endpoint.addresses.push_back(*ip);
    }
    // Not told means ready.
    endpoint.ready = item["conditions"]["ready"].Flag(true);
    endpoint.node = item["nodeName"].Text();
    slice.endpoints.push_back(std::move(endpoint));
  }
  return slice;
}

}  // namespace nodeward::discovery
