// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/snapshot.h"

namespace nodeward::bench {

inline constexpr uint16_t kPort = 8080;

inline base::IpAddress PodIp(int64_t number) {
  return *base::IpAddress::Parse("10." + std::to_string(number / 60000) + "." +
                                 std::to_string(number / 250 % 240) + "." +
                                 std::to_string(number % 250 + 2));
}

inline base::IpAddress ServiceIp(int64_t number) {
  return *base::IpAddress::Parse("172.16." + std::to_string(number / 250) +
                                 "." + std::to_string(number % 250 + 2));
}

// A snapshot of many pods: ten to a service, a hundred to a namespace, each
// namespace STRICT.
inline model::Snapshot Cluster(int64_t pods) {
  model::Snapshot snapshot;
  snapshot.trust_domain = "cluster.local";
  std::shared_ptr<model::Service> service;
  for (int64_t i = 0; i < pods; ++i) {
    std::string where = "ns-" + std::to_string(i / 100);
    auto workload = std::make_shared<model::Workload>();
    workload->name = "web-" + std::to_string(i);
    workload->name_space = where;
    workload->uid = where + "/" + workload->name;
    workload->identity = {"cluster.local", where, "web"};
    workload->ips = {PodIp(i)};
    workload->labels = {{"app", "web"}, {"version", "v1"}};
    workload->membership = model::Membership::kEnabled;
    snapshot.workloads.push_back(workload);
    if (i % 10 == 0) {
      service = std::make_shared<model::Service>();
      service->name = "web-" + std::to_string(i / 10);
      service->name_space = where;
      service->cluster_ips = {ServiceIp(i / 10)};
      service->ports.resize(1);
      service->ports[0].port = 80;
      snapshot.services.push_back(service);
    }
    service->ports[0].ready.push_back({{PodIp(i), kPort}, workload});
    if (i % 100 == 0) {
      model::PeerAuthentication strict;
      strict.name = "strict";
      strict.name_space = where;
      strict.mode = model::MtlsMode::kStrict;
      snapshot.peer_authentications.push_back(strict);
    }
  }
  snapshot.Finish();
  return snapshot;
}

}  // namespace nodeward::bench
