// SPDX-License-Identifier: Apache-2.0
#include "discovery/service_entry.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/text.h"
#include "discovery/security.h"

namespace nodeward::discovery {
namespace {

struct Port {
  std::string name;
  uint16_t number = 0;
  uint16_t target = 0;
  model::PortTraits traits;
};

std::vector<Port> ReadPorts(const Field& list) {
  std::vector<Port> ports;
  for (const Field& item : list.Items()) {
    RefuseUnknown(item, {"number", "name", "protocol", "targetPort"});
    const auto number = item["number"].Port();
    if (!item["number"].present()) item["number"].Flaw("is required");
    const std::string name = item["name"].Text();
    const std::string protocol = item["protocol"].Text();
    const auto target = item["targetPort"].Port();
    if (!number.has_value() || protocol == "UDP") continue;
    // The protocol is spelt as appProtocol is, in capitals.
    ports.push_back({name, *number, target.value_or(*number),
                     model::TraitsOfPort(protocol, name)});
  }
  return ports;
}

// Adds to each port of `service` the endpoint that `item` describes.
void ReadEndpoint(const Field& item, const std::vector<Port>& ports,
                  model::Service* service) {
  RefuseUnknown(item, {"address", "ports", "labels", "network", "locality",
                       "weight", "serviceAccount"});
  const auto address = item["address"].Address();
  if (!item["address"].present()) item["address"].Flaw("is required");
  if (!address.has_value()) return;
  for (size_t i = 0; i < ports.size(); ++i) {
    const Field own = item["ports"];
    const auto mapped = own.present() && !ports[i].name.empty()
                            ? own[ports[i].name].Port()
                            : std::optional<uint16_t>();
    service->ports[i].ready.push_back(
        {{*address, mapped.value_or(ports[i].target)}, nullptr});
  }
}

void ReadHosts(const Field& list, ServiceEntry* entry,
               const model::Service& pattern) {
  for (const Field& item : list.Items()) {
    const std::string host = item.Text();
    if (!IsDnsName(host)) {
      item.Flaw(host.starts_with('*')
                    ? "a wildcard cannot be used with resolution STATIC"
                    : "must be a DNS name");
      continue;
    }
    entry->services.push_back(pattern);
    entry->services.back().host = host;
  }
  if (list.Items().empty()) list.Flaw("must name at least one host");
}

}  // namespace

ServiceEntry ReadServiceEntry(const Field& root, const Metadata& metadata) {
  ServiceEntry entry;
  const Field spec = root["spec"];
  RefuseUnknown(root, {"apiVersion", "kind", "metadata", "spec", "status"});
  RefuseUnknown(
      spec, {"hosts", "addresses", "ports", "location", "resolution",
             "endpoints", "workloadSelector", "exportTo", "subjectAltNames"});
  const Field resolution = spec["resolution"];
  const std::string how = resolution.Text("NONE");
  if (how != "STATIC") {
    const bool known =
        how == "NONE" || how == "DNS" || how == "DNS_ROUND_ROBIN";
    if (!known) {
      resolution.Flaw("must be NONE, STATIC, DNS or DNS_ROUND_ROBIN");
    } else {
      (resolution.present() ? resolution : spec)
          .Note(base::StrCat("resolution ", how,
                             " is not supported: the ServiceEntry has no "
                             "effect, nor has a DestinationRule for its "
                             "hosts; use STATIC"));
    }
    return entry;
  }
  for (const char* key : {"workloadSelector", "exportTo"}) {
    if (spec[key].present()) spec[key].Note("is not honoured");
  }
  model::Service service;
  service.name = metadata.name;
  service.name_space = metadata.name_space;
  for (const Field& item : spec["addresses"].Items()) {
    if (item.Text().find('/') != std::string::npos) {
      item.Note("is a block: only single addresses are honoured");
    } else if (const auto address = item.Address()) {
      service.cluster_ips.push_back(*address);
    }
  }
  for (const Field& item : spec["subjectAltNames"].Items()) {
    service.subject_alt_names.push_back(item.Text());
  }
  const auto ports = ReadPorts(spec["ports"]);
  for (const Port& port : ports) {
    model::ServicePort made;
    made.name = port.name;
    made.port = port.number;
    made.protocol = port.traits.protocol;
    made.no_sniff_wait = port.traits.no_sniff_wait;
    service.ports.push_back(std::move(made));
  }
  for (const Field& item : spec["endpoints"].Items()) {
    ReadEndpoint(item, ports, &service);
  }
  for (model::ServicePort& port : service.ports) {
    // As policy::RouteTo and model::ServicePort want them.
    std::stable_partition(
        port.ready.begin(), port.ready.end(),
        [](const auto& each) { return each.address.address.is_v4(); });
  }
  ReadHosts(spec["hosts"], &entry, service);
  return entry;
}

}  // namespace nodeward::discovery
