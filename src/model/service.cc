// SPDX-License-Identifier: Apache-2.0
#include "model/service.h"

namespace nodeward::model {

const ServicePort* Service::FindPort(uint16_t port) const {
  for (const ServicePort& candidate : ports) {
    if (candidate.port == port) return &candidate;
  }
  return nullptr;
}

std::string Service::Hostname() const {
  return host.empty() ? name + "." + name_space + ".svc.cluster.local" : host;
}

}  // namespace nodeward::model
