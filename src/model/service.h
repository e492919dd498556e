// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/interned.h"
#include "base/ip.h"
#include "model/workload.h"

namespace nodeward::model {

// One place that serves a service port.
struct ServiceEndpoint {
  base::Endpoint address;  // the pod's IP and its target port
  // The workload behind the address; null when the snapshot knows none (an
  // EndpointSlice with foreign addresses).
  std::shared_ptr<const Workload> workload;
  base::Interned<std::string> node = {};  // where it runs; empty: not known
};

struct ServicePort {
  std::string name;
  uint16_t port = 0;
  Protocol protocol = Protocol::kUnknown;  // as in PortTraits
  bool no_sniff_wait = false;
  // The ready endpoints only, IPv4 before IPv6.
  std::vector<ServiceEndpoint> ready;
  // Endpoints that are not ready. Nobody is sent there, but clients may know
  // the addresses of headless services' and connect all the same, and what the
  // port declares holds for them.
  std::vector<ServiceEndpoint> unready = {};
};

struct Service {
  std::string name;
  std::string name_space;
  std::string host = {};  // of a ServiceEntry; empty: as Hostname() makes it
  std::vector<base::IpAddress> cluster_ips;  // empty: headless
  // Of a ServiceEntry: who its servers are, unless a rule says otherwise.
  std::vector<std::string> subject_alt_names = {};
  // internalTrafficPolicy Local: clients are sent to endpoints of their node.
  bool local_only = false;
  std::vector<ServicePort> ports;

  const ServicePort* FindPort(uint16_t port) const;
  // "httpbin.mtls-test.svc.cluster.local"
  std::string Hostname() const;
};

}  // namespace nodeward::model
