// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "capture/enroller.h"
#include "cni/decision.h"
#include "cni/question.h"
#include "cni/server.h"
#include "cri/sandboxes.h"
#include "io/loop.h"
#include "kube/pod_lookup.h"
#include "model/snapshot.h"

namespace nodeward::agent {

// The pods that the CNI plugin asks about, until each is captured or known not
// to be of the mesh. What the plugin says is believed of the network namespace
// alone; that the pod exists here and is opted in must have been told by the
// API server. Control loop.
class PodStarts {
 public:
  // What it knows of the rest of the agent.
  struct Sight {
    std::string node;
    // What the kernel steers by; null: nothing yet.
    std::function<model::SnapshotPtr()> steered;
    std::function<std::vector<capture::PodStatus>()> pods;
    // The pod's sandbox is known: capture it there.
    std::function<void(const std::string& uid, cri::Sandbox)> tell;
    std::function<void(const std::string& name_space, const std::string& pod,
                       std::function<void(kube::PodObjects)>)>
        look_up;
    std::function<bool(const std::string& name_space)> knows_namespace;
    absl::Duration patience = absl::Seconds(20);
  };
  using Reply = cni::Server::Reply;

  PodStarts(io::Loop& loop, Sight sight);

  void Ask(const cni::Question& question, Reply reply);
  // nodeward leaves the node: from now on every pod may start.
  void Open();

 private:
  enum class Api { kNotAsked, kAsked, kInMesh, kSilent };
  struct Pending {
    cni::Question question;
    Reply reply;
    uint64_t cookie;          // of the namespace
    absl::Duration deadline;  // the loop's time
    Api api = Api::kNotAsked;
    std::string api_reason;
    std::string waits_for = "the agent has not been told of it yet";
  };

  // Answers those that can be answered.
  void Look();
  void FindOwnPods();
  std::optional<cni::Answer> Judge(uint64_t id, Pending& pending,
                                   const std::vector<capture::PodStatus>& pods);
  std::optional<cni::Answer> JudgeMember(
      Pending& pending, const model::Workload& workload,
      const std::vector<capture::PodStatus>& pods) const;
  std::optional<cni::Answer> JudgeStranger(uint64_t id, Pending& pending,
                                           const model::Workload* workload);
  void OnObjects(uint64_t id, const kube::PodObjects& objects);
  void Finish(uint64_t id, const cni::Answer& answer);

  io::Loop& loop_;
  const Sight sight_;
  bool open_ = false;
  uint64_t next_ = 1;
  std::map<uint64_t, Pending> pending_;
  model::SnapshotPtr steered_;  // of which `own_` is
  absl::flat_hash_map<std::string, const model::Workload*> own_;  // by UID
  io::Timer look_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::agent
