// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "model/workload.h"

namespace nodeward::model {

// One place that serves a service port.
struct ServiceEndpoint {
  base::Endpoint address;  // the pod's IP and its target port
  // The workload behind the address; null when the snapshot knows none (an
  // EndpointSlice with foreign addresses).
  std::shared_ptr<const Workload> workload;
};

struct ServicePort {
  std::string name;
  uint16_t port = 0;
  Protocol protocol = Protocol::kUnknown;  // as in PortTraits
  bool no_sniff_wait = false;
  // The ready endpoints only, IPv4 before IPv6.
  std::vector<ServiceEndpoint> ready;
  // Of headless services only: endpoints that are not ready. Nobody is sent
  // there, but clients may know their addresses and connect all the same.
  std::vector<ServiceEndpoint> unready = {};
};

struct Service {
  std::string name;
  std::string name_space;
  std::vector<base::IpAddress> cluster_ips;  // empty: headless
  std::vector<ServicePort> ports;

  const ServicePort* FindPort(uint16_t port) const;
  // "httpbin.mtls-test.svc.cluster.local"
  std::string Hostname() const;
};

}  // namespace nodeward::model
