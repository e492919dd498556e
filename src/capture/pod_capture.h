// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "capture/earlier_connections.h"
#include "capture/enroller.h"
#include "capture/interfaces.h"
#include "capture/netns.h"
#include "capture/pod_network.h"
#include "capture/sysctl.h"
#include "kernel/hooks.h"
#include "model/snapshot.h"

namespace nodeward::capture {

// What the capture of every pod of a node has in common. Outlives them.
struct NodeContext {
  NetnsPtr home;  // the node's namespace, which is the agent's
  std::shared_ptr<kernel::Hooks> hooks;
  PodSink* sink = nullptr;
  // As Options::forbids_plaintext.
  std::function<bool(const model::Snapshot&, const model::Workload&,
                     const base::IpAddress&, uint16_t)>
      forbids_plaintext;
  // SO_COOKIEs of the listeners that this process has open in pods.
  absl::flat_hash_set<uint64_t> listeners;
};

// One pod's state in the kernel, and the order in which it is brought about and
// undone. Holds the pod's namespace open. Destroying it leaves the kernel as it
// is. Control loop only.
class PodCapture {
 public:
  PodCapture(NodeContext& node, std::string uid, NetnsPtr netns);
  ~PodCapture();
  PodCapture(const PodCapture&) = delete;
  PodCapture& operator=(const PodCapture&) = delete;

  const Netns& netns() const { return *netns_; }
  bool enrolled() const { return network_ != nullptr; }
  // Empty: not found.
  const std::string& host_interface() const { return host_.name; }
  // The probe hook stands there.
  bool probe_hook() const { return host_.index != 0; }
  // What is less than perfect about an enrolled pod; empty: nothing.
  std::string Notes() const;

  // Brings the pod into the mesh, inbound first and outbound last; as soon as
  // the inbound hook stands new connections are closed rather than open. On
  // error what the steps have put in place stays: when enrolled() by then, go
  // on with Update, else try again, Seal or Undo. `handed`: what the agent that
  // serves the pod so far hands over; its sockets are taken then. REQUIRES:
  // !enrolled().
  base::Status Enrol(const model::Workload& workload,
                     const model::Snapshot& snapshot,
                     std::optional<HandedPod> handed = std::nullopt);
  // For another agent; without the listeners. REQUIRES: enrolled().
  HandedPod HandOver() const;
  // Follows changed addresses, probe ports and policy, and makes up for what
  // failed before. REQUIRES: enrolled().
  base::Status Update(const model::Workload& workload,
                      const model::Snapshot& snapshot);
  // Closes the pod to all but probes, and what it would send to the mesh, as
  // far as that can be done. The error is the first of what could not be done.
  // REQUIRES: !enrolled().
  base::Status Seal(const model::Workload& workload,
                    const model::Snapshot& snapshot);

  // Another agent may have put its own in the place of those at the veth: the
  // next Update attaches them again.
  void HooksMayBeGone();

  // Takes the hooks away, outbound first, and asks the engine to let the pod's
  // connections end; what they need to go on stays until Undo.
  void Drain(std::function<void()> drained);
  // Asks the engine to close every socket of the pod, now. The hooks stay.
  void Kill(std::function<void()> killed);
  // The engine has done as asked: no longer enrolled().
  void EngineDone();
  // Removes the hooks, at once.
  void Unhook();
  // Removes every trace. REQUIRES: !enrolled().
  void Undo();

 private:
  base::StatusOr<Listeners> OpenInbound(const model::Workload& workload);
  base::StatusOr<Listeners> TakeOver(HandedPod handed);
  base::Status AttachLookup();
  base::Status FillSlots(const Listeners& listeners);
  base::Status EnableConnect(const model::Workload& workload);
  // A pod without probe hook is none the worse but for its probes: a note.
  void AttachProbe(const model::Workload& workload, bool closed);
  // On for a pod that must speak mutual TLS, else off.
  base::Status SetGuard(const model::Workload& workload);
  base::Status SetProbePorts(const model::Workload& workload);
  base::Status DestroyEarlier(const model::Workload& workload,
                              const model::Snapshot& snapshot);
  // The pod's addresses as declared and as its interfaces have them.
  std::vector<base::IpAddress> AddressesOf(
      const model::Workload& workload) const;

  NodeContext& node_;
  const std::string uid_;
  const NetnsPtr netns_;
  std::shared_ptr<PodNetwork> network_;  // null: not enrolled
  std::vector<uint64_t> listeners_;      // their cookies
  std::vector<Sysctl> former_sysctls_;
  bool steered_ = false;
  bool lookup_ = false;  // the inbound hook stands
  HostInterface host_;
  bool probe_closed_ = false;
  // Where the guard stands, 0: nowhere; none: a former agent may know.
  std::optional<int> guarded_;
  // As the connect hook and the probe hook know them.
  std::vector<base::IpAddress> connect_ips_;
  std::vector<base::Endpoint> probe_ports_;
  EarlierConnections earlier_;
  std::string probe_note_;
  std::string earlier_note_;
  std::string family_note_;
};

// Is plaintext into this workload forbidden on any of its ports, or on a port
// that it does not declare?
bool ForbidsAnyPlaintext(const NodeContext& node,
                         const model::Workload& workload,
                         const model::Snapshot& snapshot);

}  // namespace nodeward::capture
