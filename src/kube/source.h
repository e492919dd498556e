// SPDX-License-Identifier: Apache-2.0
//
// kube: the Kubernetes API as source of truth. Lists and watches what the mesh
// needs to know, and marks this node's pods as enrolled. Runs on the control
// loop; the rules of list and watch are in reflector.h, what is kept of each
// kind in mirror.h.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "cri/sandboxes.h"
#include "discovery/source.h"
#include "io/loop.h"
#include "kube/http_client.h"
#include "kube/pod_lookup.h"
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
  // Asks for a pod and its namespace, whatever has been told; `done` is called
  // on the loop, unless this goes before.
  virtual void LookUp(const std::string& name_space, const std::string& pod,
                      std::function<void(PodObjects)> done) = 0;
  // The namespaces that have been told of: is each opted in?
  virtual std::map<std::string, bool> Namespaces() const = 0;
  // From now on `renewed` is called with tokens of the ServiceAccount
  // "NAMESPACE/NAME", before they run out.
  virtual void KeepToken(
      const std::string& account,
      std::function<void(const std::string& token)> renewed) = 0;
};

// `sandboxes` tells the pods' network namespaces. `loop` outlives the source.
base::StatusOr<std::unique_ptr<Source>> FollowKubernetes(
    io::Loop& loop, Options options,
    std::unique_ptr<cri::SandboxSource> sandboxes);

}  // namespace nodeward::kube
