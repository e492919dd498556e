// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/config.h"
#include "agent/pod_starts.h"
#include "base/status.h"
#include "cni/decision.h"
#include "cni/installer.h"
#include "cni/server.h"
#include "cni/told_sandboxes.h"
#include "io/loop.h"
#include "kube/source.h"

namespace nodeward::agent {

// The agent's side of the CNI plugin: answers it, and keeps it on the node with
// what it goes by when no agent answers. Control loop.
class NodePlugin {
 public:
  // The socket is open from here on; nothing is installed yet. `source` and
  // `sandboxes` (which is the source's) outlive this.
  static base::StatusOr<std::unique_ptr<NodePlugin>> Create(
      io::Loop& loop, const Config& config, kube::Source* source,
      cni::ToldSandboxes* sandboxes,
      std::function<model::SnapshotPtr()> steered,
      std::function<std::vector<capture::PodStatus>()> pods);

  // The kernel steers by what the source has told: installs it, and tells it of
  // namespaces that have changed.
  void Update();
  // nodeward leaves the node: pods start without it.
  void Leave();
  // Why pods could start without being captured; empty: they cannot.
  std::string problem() const;

 private:
  NodePlugin(const Config& config, kube::Source* source,
             std::function<model::SnapshotPtr()> steered)
      : config_(config), source_(source), steered_(std::move(steered)) {}
  cni::KnownNamespaces Namespaces() const;
  void OnToken(const std::string& token);

  const Config& config_;
  kube::Source* const source_;
  const std::function<model::SnapshotPtr()> steered_;
  std::unique_ptr<PodStarts> starts_;
  std::unique_ptr<cni::Installer> installer_;
  std::unique_ptr<cni::Server> server_;
  bool left_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::agent
