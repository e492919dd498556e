// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "capture/enroller.h"
#include "capture/kubelet.h"
#include "capture/netns_watch.h"
#include "capture/node_addresses.h"
#include "capture/pod_capture.h"
#include "capture/probe_events.h"
#include "io/loop.h"
#include "kernel/hooks.h"
#include "model/snapshot.h"

namespace nodeward::capture {

// Brings each pod of the node to where the snapshot wants it, and the maps of
// the whole node in line with it.
class NodeEnroller final : public Enroller {
 public:
  // REQUIRES: the loop's thread is in the node's namespace. `sink` and `loop`
  // outlive this.
  static base::StatusOr<std::unique_ptr<NodeEnroller>> Create(
      io::Loop& loop, Options options, PodSink* sink,
      std::shared_ptr<kernel::Hooks> hooks);

  void Apply(model::SnapshotPtr snapshot) override;
  std::vector<PodStatus> status() const override;
  std::map<std::string, bool> Enrolled() const override;
  KubeletStatus kubelet() const override { return kubelet_; }
  absl::flat_hash_map<std::string, uint64_t> Counters() const override;
  std::vector<HandedPod> HandOver() override;
  void GoOn() override;
  void TakeOver(std::vector<HandedPod> pods) override;
  void FormerYielded() override;
  void FormerGone() override;
  base::Status HandedServed() const override;

 private:
  // What the snapshot wants of a pod.
  enum class Wanted {
    kNothing,  // not of the mesh, or gone
    kAsIs,     // of the mesh, but its addresses or namespace are not known
    kSealed,   // of the mesh, ended or disputed: closed while it lives
    kEnrolled,
  };
  // What the engine has of a pod.
  enum class Engine { kNothing, kServes, kDrains, kKills };

  struct Pod {
    std::shared_ptr<const model::Workload> workload;  // null: gone
    std::string name;        // "namespace/name", for the log
    bool due = false;        // to be reconciled
    std::string netns_path;  // where `capture` was found
    std::unique_ptr<PodCapture> capture;
    Engine engine = Engine::kNothing;
    uint64_t asked =
        0;  // counts requests to the engine; older answers are void
    bool sealed = false;
    bool adopted = false;  // a former agent had enrolled it
    bool handed = false;   // by an agent that still lives
    base::Status failure;
    absl::Duration back_off;
    std::unique_ptr<io::Timer> retry;
  };
  using Pods = std::map<std::string, Pod>;  // by uid

  NodeEnroller(io::Loop& loop, Options options);
  base::Status Begin(PodSink* sink, std::shared_ptr<kernel::Hooks> hooks);

  static Wanted WantedOf(const Pod& pod);
  // Reconciles the pods that are due, for a while; goes on later with the rest,
  // so that many pods at once do not hold up the loop.
  void Work();
  void Reconcile(const std::string& uid, Pod& pod);
  // The engine serves the pod: goes on with it, or begins to part.
  void Serve(const std::string& uid, Pod& pod, Wanted wanted, bool gone);
  void Part(const std::string& uid, Pod& pod, bool kill);
  base::Status Open(const std::string& uid, Pod& pod);
  base::Status Enter(Pod& pod, Wanted wanted);
  void Settle(const std::string& uid, Pod& pod, const base::Status& status);
  void CloseOrOpen(Pod& pod);
  void OnEngineDone(const std::string& uid, uint64_t asked);
  bool HasMoved(Pod& pod) const;

  std::optional<HandedPod> TakeHanded(const std::string& uid,
                                      uint64_t netns_cookie);
  base::Status WatchProbes();
  void LookAround();  // namespaces that came or went
  void Tick();
  void WatchNamespaces();
  void FindKubelet();
  void SetNodeAddresses();
  void OnProbe(const kernel::ProbeEvent& event);
  void ForgetStrangers();
  void RemoveOtherVersions();
  static PodState StateOf(const Pod& pod);
  std::string ReasonOf(const Pod& pod, PodState state) const;
  PodStatus StatusOf(const std::string& uid, const Pod& pod) const;

  io::Loop& loop_;
  const Options options_;
  NodeContext node_;
  KubeletFinder finder_;
  KubeletStatus kubelet_;
  uint64_t kubelet_id_ = 0;
  std::unique_ptr<NodeAddresses> addresses_;
  std::unique_ptr<NetnsWatch> watch_;
  std::unique_ptr<ProbeEvents> probe_events_;
  model::SnapshotPtr snapshot_;
  Pods pods_;
  bool work_posted_ = false;
  std::vector<uint64_t> known_;  // cookies that a former agent left
  // By netns cookie: handed over, and not taken into service yet.
  std::map<uint64_t, HandedPod> handed_;
  bool former_serves_ = false;
  bool former_lives_ = false;  // and may drain what it does not serve any more
  bool others_removed_ = false;
  bool handing_over_ = false;  // the kernel is another agent's to change
  io::Timer tick_;
  size_t ticks_ = 0;
  // Lives as long as this: callbacks of the engine may come later.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::capture
