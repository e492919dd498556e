// SPDX-License-Identifier: Apache-2.0
//
// kube: the Kubernetes API as source of truth. Lists and watches what the mesh
// needs to know, and marks this node's pods as enrolled. Runs on the control
// loop; the rules of list and watch are in reflector.h, what is kept of each
// kind in mirror.h.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "cri/sandboxes.h"
#include "discovery/source.h"
#include "io/loop.h"
#include "kube/http_client.h"
#include "model/volume.h"

namespace nodeward::kube {

struct Options {
  std::string node;
  HttpClient::Options api;
  discovery::ManifestOptions reading;  // everything but the directory
  std::string daemonset;  // "NAMESPACE/NAME" of our own; empty: not known
  std::string taint;      // of our node until we are ready; empty: none
};

class Source : public discovery::Source {
 public:
  // Which ConfigMaps and Secrets are needed now. They are followed by their
  // names, and no others; what may not be read is among problems().
  virtual void WantFiles(const std::set<model::FileSetKey>& wanted) = 0;
  // Whether the agent can take traffic: then its node's taint goes.
  virtual void SetReady(bool ready) = 0;
  // Asks whether our own DaemonSet has been deleted: gone, or on its way, seen
  // twice. Whatever else is answered means no. `done` is called on the loop.
  virtual void IsUninstalled(std::function<void(bool)> done) = 0;
  // Takes the marks off this node's pods; `done` is called on the loop when all
  // are off, or the API server has had its time.
  virtual void RemoveMarks(std::function<void()> done) = 0;
};

// `sandboxes` tells the pods' network namespaces. `loop` outlives the source.
base::StatusOr<std::unique_ptr<Source>> FollowKubernetes(
    io::Loop& loop, Options options,
    std::unique_ptr<cri::SandboxSource> sandboxes);

}  // namespace nodeward::kube
