// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "cri/sandboxes.h"
#include "discovery/catalog.h"
#include "discovery/manifest.h"
#include "discovery/source.h"
#include "kube/reflector.h"
#include "model/snapshot.h"

namespace nodeward::kube {

// What an agent writes on a pod that it has enrolled, as Istio's ambient mode
// has it, and beside it that the agent was ours.
inline constexpr char kMark[] = "ambient.istio.io/redirection";
inline constexpr char kMarked[] = "enabled";
inline constexpr char kOurMark[] = "nodeward.io/redirection";

// What the API server has, as far as the mesh needs it: objects in, snapshots
// out. Does no I/O.
//
// Of pods of other nodes only what tells who has which address stays. Such a
// pod is of the mesh once its node's agent has marked it, and from then on
// until its opt-in or itself ends, whatever becomes of the mark. Pods of this
// node have the network namespace that their sandbox has; the annotation
// nodeward.io/netns counts for nothing.
class Mirror {
 public:
  // A pod of this node.
  struct OwnPod {
    std::string name_space, name;
    bool marked = false;  // by an agent of ours

    friend bool operator==(const OwnPod&, const OwnPod&) = default;
  };

  // Of `options`, everything but the directory.
  Mirror(discovery::ManifestOptions options, std::string node);
  ~Mirror();

  // What is to be followed, and where it is to be told. The sinks live as long
  // as this.
  struct Followed {
    Resource resource;
    ObjectSink* sink;
  };
  std::vector<Followed> Wanted();

  // A ConfigMap or a Secret, which are told of one by one.
  void PutFiles(const model::FileSetKey& key, base::Json object);
  void RemoveFiles(const model::FileSetKey& key);

  void SetSandboxes(const cri::Sandboxes& sandboxes);
  // By UID.
  const std::map<std::string, OwnPod>& own_pods() const { return own_; }
  // UIDs of own pods that have a namespace of their own.
  std::set<std::string> SandboxedPods() const;

  // Has anything changed since Build?
  bool changed() const { return changed_; }
  model::SnapshotPtr Build();

 private:
  class Sink;
  enum class Part { kOther, kOwnPods, kOtherPods };

  void Put(const Sink& sink, base::Json object);
  void Remove(const Sink& sink, const std::string& key);
  void Retain(const Sink& sink, const absl::flat_hash_set<std::string>& keys);
  void PutOwnPod(const base::Json& object, const std::string& file,
                 discovery::Manifest* manifest);
  void PutOtherPod(const base::Json& object, const std::string& file,
                   discovery::Manifest* manifest);
  void SetNetns(discovery::Pod* pod) const;
  void ForgetOwnPod(const std::string& file);

  const discovery::ManifestContext context_;
  const std::string node_;
  discovery::Catalog catalog_;
  std::vector<std::unique_ptr<Sink>> sinks_;
  std::map<std::string, OwnPod> own_;
  cri::Sandboxes sandboxes_;
  bool changed_ = false;
};

}  // namespace nodeward::kube
