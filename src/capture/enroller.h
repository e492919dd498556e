// SPDX-License-Identifier: Apache-2.0
//
// capture: which pods and sockets are captured. Enters pod namespaces, opens
// the agent's sockets there, attaches and pins the hooks, and undoes all of it.
// Runs on the control loop, whose thread must be in the node's own namespace;
// the io::PodNetwork objects it makes are thread-safe. Decides no policy and
// reads no byte of a connection.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/ip.h"
#include "base/status.h"
#include "capture/handed_pod.h"
#include "io/loop.h"
#include "io/pod_network.h"
#include "model/snapshot.h"

namespace nodeward::capture {

// What capture tells the agent; implemented there over hbone::Engine.
class PodSink {
 public:
  virtual ~PodSink() = default;
  virtual void Add(const std::string& uid,
                   std::shared_ptr<io::PodNetwork> network,
                   Listeners listeners) = 0;
  // Both call back (any thread) when done.
  virtual void Drain(const std::string& uid, std::function<void()> done) = 0;
  virtual void Kill(const std::string& uid, std::function<void()> done) = 0;
};

enum class PodState { kPending, kEnrolled, kDraining, kSkipped, kFailed };
std::string_view PodStateText(PodState state);

struct PodStatus {
  std::string uid, name, name_space;
  PodState state = PodState::kPending;
  std::string reason;  // why pending, skipped or failed
  uint64_t netns_cookie = 0;
  std::string host_interface;  // host side of the veth; empty: not found
  bool probe_exemption = false;
};

// A connection that was let past the agent as the kubelet's probe.
struct ExemptedProbe {
  std::string pod;        // "mtls-test/httpbin"; empty: not known (any more)
  base::Endpoint target;  // pod address and probe port
  base::Endpoint source;
  std::string cgroup;  // of the process that sent it
};

struct Options {
  std::string node;
  std::string bpf_dir;         // pins
  std::string cgroup;          // "auto" or a path
  std::string kubelet_cgroup;  // "auto" or a path
  uint16_t kubelet_port = 10250;
  std::vector<base::Cidr> mesh_cidrs;
  // What keeps a pod waiting whose network namespace is not known.
  std::string netns_hint =
      "no network namespace is named: set the annotation nodeward.io/netns to "
      "its path";
  // policy::AdmitsPlaintext, handed in because capture knows no policy: is
  // plaintext from `source` to this workload port forbidden?
  std::function<bool(const model::Snapshot&, const model::Workload&,
                     const base::IpAddress& source, uint16_t port)>
      forbids_plaintext;
  // Called on the loop for each; null: a line in the log.
  std::function<void(const ExemptedProbe&)> on_exempted_probe;
};

class Enroller {
 public:
  // Loads programs, adopts what a former agent has pinned, attaches the connect
  // hooks. An error names what is missing and the remedy.
  static base::StatusOr<std::unique_ptr<Enroller>> Start(io::Loop& loop,
                                                         Options options,
                                                         PodSink* sink);
  virtual ~Enroller() = default;  // leaves everything pinned: closed, not open

  // Brings the kernel in line with `snapshot`: enrols and un-enrols this node's
  // pods, destinations, probe ports. Idempotent. Failed pods are tried again.
  virtual void Apply(model::SnapshotPtr snapshot) = 0;
  virtual std::vector<PodStatus> status() const = 0;
  // By UID: true for the pods that are enrolled, false for those that are left
  // out; the others are not settled. Cheap enough to be asked every second.
  virtual std::map<std::string, bool> Enrolled() const = 0;

  // --- two agents of one node, one after the other -------------------------
  // Changes nothing of the kernel from here on, and tells of the pods that are
  // served, without their listeners, which are the engine's.
  virtual std::vector<HandedPod> HandOver() = 0;
  // The other did not take over: goes on, without the hooks that it may have
  // put beside ours.
  virtual void GoOn() = 0;
  // What another agent handed over, before the first Apply, which then enrols
  // those pods on these listeners, beside that agent's hooks if its version is
  // another one. What it does not serve any more is left to it until
  // FormerGone.
  virtual void TakeOver(std::vector<HandedPod> pods) = 0;
  // It serves no more: hooks of its version that are not ours go.
  virtual void FormerYielded() = 0;
  virtual void FormerGone() = 0;
  // After the first Apply: OK when all that was handed over is served.
  virtual base::Status HandedServed() const = 0;

  struct KubeletStatus {
    bool found = false;
    std::string cgroup;
    std::string reason;  // why not found
  };
  virtual KubeletStatus kubelet() const = 0;
  // Name -> value of the programs' verdict counters.
  virtual absl::flat_hash_map<std::string, uint64_t> Counters() const = 0;
};

// Removes every hook, pin, rule, route and sysctl of nodeward on this node,
// with or without an agent having lived; for `nodeward uninstall --node`.
// REQUIRES: the thread is in the node's own namespace; pods are those that have
// an interface linked to it.
// Returns what was removed, a line each.
base::StatusOr<std::vector<std::string>> RemoveEverything(
    const std::string& bpf_dir);

}  // namespace nodeward::capture
