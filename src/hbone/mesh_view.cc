// SPDX-License-Identifier: Apache-2.0
#include "hbone/mesh_view.h"

#include <utility>

namespace nodeward::hbone {

MeshView::MeshView(model::SnapshotPtr snapshot, const MeshView* previous,
                   std::shared_ptr<const pki::ClientMaterials> materials)
    : snapshot_(std::move(snapshot)),
      rules_(*snapshot_, previous == nullptr ? nullptr : &previous->rules_),
      materials_(std::move(materials)) {
  pods_.reserve(snapshot_->workloads.size());
  for (const auto& workload : snapshot_->workloads) {
    pods_.try_emplace(workload->uid, workload);
  }
  services_.reserve(snapshot_->services.size());
  for (const auto& service : snapshot_->services) {
    services_.try_emplace(service.get(), service);
  }
}

const pki::ClientMaterials::Entry* MeshView::FindMaterial(
    const model::Workload& client, const model::ClientTls& tls) const {
  if (materials_ == nullptr) return nullptr;
  const auto found =
      materials_->entries.find(pki::ClientMaterials::KeyOf(client, tls));
  return found == materials_->entries.end() ? nullptr : &found->second;
}

std::shared_ptr<const model::Workload> MeshView::FindPod(
    const std::string& uid) const {
  const auto found = pods_.find(uid);
  return found == pods_.end() ? nullptr : found->second;
}

std::shared_ptr<const model::Workload> MeshView::FindOwner(
    const base::IpAddress& ip) const {
  const auto found = snapshot_->workload_by_ip.find(ip);
  return found == snapshot_->workload_by_ip.end() ? nullptr : found->second;
}

std::shared_ptr<const model::Service> MeshView::FindServing(
    const model::Workload& workload, uint16_t port) const {
  const auto served = snapshot_->FindServed(workload, port);
  const auto found = services_.find(served.service);
  return found == services_.end() ? nullptr : found->second;
}

}  // namespace nodeward::hbone
