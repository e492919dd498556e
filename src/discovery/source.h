// SPDX-License-Identifier: Apache-2.0
//
// discovery: the outside world becomes model::Snapshot. A directory of
// Kubernetes manifests today. Runs on the control loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "io/loop.h"
#include "model/snapshot.h"

namespace nodeward::discovery {

// Where snapshots come from.
class Source {
 public:
  virtual ~Source() = default;
  // Calls `changed` with the first snapshot before it returns, and again on the
  // loop after every change.
  virtual base::Status Start(
      std::function<void(model::SnapshotPtr)> changed) = 0;
};

struct ManifestOptions {
  std::string directory;  // must belong to root and not be writable by others
  std::string trust_domain = "cluster.local";
  std::vector<std::string> trust_domain_aliases = {};
  std::vector<std::string> federated_trust_domains = {};
  std::string root_namespace = "istio-system";
  model::PathNormalization path_normalization = model::PathNormalization::kBase;
};

// Reads *.yaml, *.yml and *.json below the directory, recursively, and watches
// it. A file that breaks keeps the last good state of its objects.
base::StatusOr<std::unique_ptr<Source>> WatchManifests(io::Loop& loop,
                                                       ManifestOptions options);

}  // namespace nodeward::discovery
