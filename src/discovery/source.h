// SPDX-License-Identifier: Apache-2.0
//
// discovery: the outside world becomes model::Snapshot. A directory of
// Kubernetes manifests is read here; room kube follows the Kubernetes API and
// uses the same readers. Runs on the control loop.
#pragma once

#include <functional>
#include <map>
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
  // Calls `changed` on the loop with the first snapshot, which is a whole one
  // (of manifests: before it returns), and again after every change.
  virtual base::Status Start(
      std::function<void(model::SnapshotPtr)> changed) = 0;
  // What keeps it from learning anything new, at this moment. What it told
  // before stays true until then.
  virtual std::vector<model::Problem> problems() const { return {}; }
  // Tells the source which pods of this node (by UID) are enrolled (true) and
  // which are not of the mesh (false), for others to see. The rest stays as it
  // is.
  virtual void SetEnrolled(const std::map<std::string, bool>& pods) {
    (void)pods;
  }
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
