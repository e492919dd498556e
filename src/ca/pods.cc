// SPDX-License-Identifier: Apache-2.0
#include "ca/pods.h"

namespace nodeward::ca {

Pods::Pods(const model::SnapshotPtr& snapshot) {
  for (const Pod& pod : snapshot->workloads) {
    if (pod->membership != model::Membership::kTerminal) {
      by_name_[{pod->name_space, pod->name}] = pod;
    }
    Pod& best = by_node_[{pod->node, pod->identity}];
    if (best == nullptr || pod->in_mesh()) best = pod;
  }
}

base::StatusOr<PodDirectory::Pod> Pods::Find(const std::string& name_space,
                                             const std::string& name) const {
  const auto found = by_name_.find({name_space, name});
  return found == by_name_.end() ? nullptr : found->second;
}

base::StatusOr<PodDirectory::Pod> Pods::OnNode(
    const std::string& node, const model::Identity& identity) const {
  const auto found = by_node_.find({node, identity});
  return found == by_node_.end() ? nullptr : found->second;
}

}  // namespace nodeward::ca
