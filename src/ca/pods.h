// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "ca/pod_directory.h"
#include "model/snapshot.h"

namespace nodeward::ca {

// A snapshot's pods, found by what the CA asks about. Immutable; never
// Unavailable.
class Pods final : public PodDirectory {
 public:
  explicit Pods(const model::SnapshotPtr& snapshot);

  base::StatusOr<Pod> Find(const std::string& name_space,
                           const std::string& name) const override;
  base::StatusOr<Pod> OnNode(const std::string& node,
                             const model::Identity& identity) const override;

 private:
  absl::flat_hash_map<std::pair<std::string, std::string>, Pod> by_name_;
  absl::flat_hash_map<std::pair<std::string, model::Identity>, Pod> by_node_;
};

}  // namespace nodeward::ca
