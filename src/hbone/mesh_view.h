// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "model/snapshot.h"
#include "pki/client_material.h"
#include "policy/verdict.h"

namespace nodeward::hbone {

// A snapshot with the indexes that the data path needs besides, made once by
// the control thread and shared by the workers. Immutable.
class MeshView {
 public:
  // What did not change is taken from `previous` (may be null).
  // `materials`: what DestinationRules need; null: nothing has been read.
  explicit MeshView(
      model::SnapshotPtr snapshot, const MeshView* previous = nullptr,
      std::shared_ptr<const pki::ClientMaterials> materials = nullptr);

  const model::Snapshot& snapshot() const { return *snapshot_; }
  const policy::Rulebook& rules() const { return rules_; }
  // What `client` has for a rule's part; null: it was never asked for.
  const pki::ClientMaterials::Entry* FindMaterial(
      const model::Workload& client, const model::ClientTls& tls) const;
  // Any workload, also one that has ended; null: unknown.
  std::shared_ptr<const model::Workload> FindPod(const std::string& uid) const;
  // The live owner of `ip`, or null.
  std::shared_ptr<const model::Workload> FindOwner(
      const base::IpAddress& ip) const;
  // The service through which `workload` serves `port`, or null.
  std::shared_ptr<const model::Service> FindServing(
      const model::Workload& workload, uint16_t port) const;

 private:
  const model::SnapshotPtr snapshot_;
  const policy::Rulebook rules_;
  const std::shared_ptr<const pki::ClientMaterials> materials_;
  // By their uid.
  absl::flat_hash_map<std::string_view, std::shared_ptr<const model::Workload>>
      pods_;
  absl::flat_hash_map<const model::Service*,
                      std::shared_ptr<const model::Service>>
      services_;
};

}  // namespace nodeward::hbone
