// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "model/identity.h"
#include "model/snapshot.h"

namespace nodeward::ca {

// A snapshot's pods, found by what the CA asks about. Immutable.
class Pods {
 public:
  explicit Pods(model::SnapshotPtr snapshot);

  // The pod of that name, unless it has ended; null: there is none.
  const model::Workload* Find(const std::string& name_space,
                              const std::string& name) const;
  // A pod on `node` with `identity`: one in the mesh if there is any, else any.
  const model::Workload* OnNode(const std::string& node,
                                const model::Identity& identity) const;

 private:
  const model::SnapshotPtr snapshot_;
  absl::flat_hash_map<std::pair<std::string, std::string>,
                      const model::Workload*>
      by_name_;
  absl::flat_hash_map<std::pair<std::string, model::Identity>,
                      const model::Workload*>
      by_node_;
};

}  // namespace nodeward::ca
