// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "ca/pods.h"
#include "model/snapshot.h"

namespace nodeward::ca {

// A pod of namespace `name_space` whose account has its name.
inline std::shared_ptr<const model::Workload> Pod(
    const std::string& name, const std::string& node,
    model::Membership membership = model::Membership::kEnabled,
    const std::string& name_space = "mesh") {
  auto pod = std::make_shared<model::Workload>();
  pod->uid = "uid-" + name;
  pod->name = name;
  pod->name_space = name_space;
  pod->node = node;
  pod->identity = {"cluster.local", name_space, name};
  pod->membership = membership;
  return pod;
}

inline std::shared_ptr<const Pods> MakePods(
    std::vector<std::shared_ptr<const model::Workload>> workloads) {
  auto snapshot = std::make_shared<model::Snapshot>();
  snapshot->workloads = std::move(workloads);
  return std::make_shared<const Pods>(snapshot);
}

}  // namespace nodeward::ca
