// SPDX-License-Identifier: Apache-2.0
//
// kernel: loads, pins and attaches the BPF programs and speaks to their maps.
// libbpf lives only here. Every link and map is pinned below Options::bpf_dir
// under v<PinVersion()>/, so that the hooks outlive the agent (closed,
// not open) and the next agent takes them over. One thread, except the
// functions that say otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/status.h"

namespace nodeward::kernel {

// The version of the pins that this program makes and adopts, which is part of
// their path.
int PinVersion();

enum class Action { kCapture, kRefuse };

// The agent's listeners in a pod that the kernel chooses from. kHbone is one
// socket for both families.
enum class Slot { kInbound4, kInbound6, kHbone };

// One address that the mesh serves.
struct Destination {
  base::IpAddress address;
  Action action = Action::kCapture;  // for ports not listed
  std::vector<std::pair<uint16_t, Action>> ports;
  // Of the mesh: guarded pods may not send plaintext there.
  bool of_mesh = false;
};

// What was found of the running kernel, by trying.
struct Features {
  bool tcx = false;         // else clsact
  bool set_retval = false;  // connect() can fail with ECONNREFUSED
};

// A connection that was let through as the kubelet's.
struct ProbeEvent {
  uint64_t cookie = 0;    // of the pod's netns
  base::Endpoint pod;     // address and probe port
  base::Endpoint source;  // the kubelet's end
  uint64_t cgroup = 0;    // id of the sending socket's cgroup
};

class Hooks {
 public:
  struct Options {
    std::string bpf_dir;      // e.g. /sys/fs/bpf/nodeward; made if absent
    std::string cgroup_path;  // where the connect hooks go
  };
  // Loads the programs, opening maps that are pinned already and pinning what
  // is new (built aside, then renamed), and attaches (or updates in place) the
  // connect, getpeername and sock_ops hooks. Nothing half-done on error; the
  // verifier's last lines are in it.
  static base::StatusOr<std::unique_ptr<Hooks>> Load(const Options& options);
  virtual ~Hooks() = default;  // leaves everything pinned

  virtual const Features& features() const = 0;

  // --- one pod, by the cookie of its network namespace ---------------------
  // Attaches the sk_lookup program to the namespace (or adopts and updates the
  // pinned link) with an empty slot: inbound is closed from here on.
  virtual base::Status AttachLookup(uint64_t cookie, int netns_fd) = 0;
  // Puts a listener into a slot: what is captured goes there. Replaces a former
  // one atomically; fine when that very socket is there.
  virtual base::Status SetListener(uint64_t cookie, Slot slot,
                                   int listener_fd) = 0;
  virtual base::Status DetachLookup(uint64_t cookie) = 0;
  // Outbound capture on (last step of enrolment) and off (first of leaving).
  virtual base::Status EnableConnect(uint64_t cookie, const base::IpAddress* v4,
                                     const base::IpAddress* v6) = 0;
  virtual base::Status DisableConnect(uint64_t cookie) = 0;
  // The probe exemption (and, when `closed`, the backstop) on the host's side
  // of the pod's veth, in the agent's own namespace.
  virtual base::Status AttachProbe(uint64_t cookie, int ifindex,
                                   bool closed) = 0;
  virtual base::Status DetachProbe(int ifindex) = 0;
  // The guard on the host's side of the pod's veth: no plaintext from it to the
  // mesh, however it is sent (see bpf/guard.bpf.c). Off is fine when it is.
  virtual base::Status AttachGuard(uint64_t cookie, int ifindex) = 0;
  virtual base::Status DetachGuard(uint64_t cookie) = 0;
  // Exactly these are the pod's declared probe ports.
  virtual base::Status SetProbePorts(
      uint64_t cookie, const std::vector<base::Endpoint>& ports) = 0;
  // Cookies of pods that have something pinned or in a map: left by a former
  // agent. Forget undoes all of it.
  virtual std::vector<uint64_t> KnownPods() const = 0;
  virtual base::Status Forget(uint64_t cookie) = 0;

  // --- the whole node ------------------------------------------------------
  // Brings the map in line; only differences are written. Full map: an error,
  // and the addresses that did not fit are named.
  virtual base::Status SetDestinations(
      const std::vector<Destination>& destinations) = 0;
  virtual base::Status SetMeshCidrs(const std::vector<base::Cidr>& cidrs) = 0;
  virtual base::Status SetKubeletCgroups(
      const std::vector<uint64_t>& cgroup_ids) = 0;
  virtual base::Status SetNodeAddresses(
      const std::vector<base::IpAddress>& addresses) = 0;
  virtual absl::flat_hash_map<std::string, uint64_t> Counters() const = 0;
  // Unpins and detaches what other versions have, for when these hooks stand,
  // and tells what, a line each. Until then both are attached: what either
  // captures is captured, and known to the agents of both (where
  // include/nodeward/abi/capture.h says so); what either refuses is refused.
  virtual base::StatusOr<std::vector<std::string>> RemoveOtherVersions() = 0;
  // Another agent may have written destinations: reads what there is now.
  virtual base::Status Reread() { return base::OkStatus(); }

  // Readable while exempted connections wait to be drained, for epoll; owned by
  // this. One event a connection, however often its SYN is sent; what overflows
  // is counted as probe_event_lost.
  virtual int probe_events_fd() const { return -1; }
  virtual void DrainProbeEvents(
      const std::function<void(const ProbeEvent&)>& /*handle*/) {}

  // --- any thread ----------------------------------------------------------
  // Makes `fd` a socket of the agent's own: the connect hook leaves it alone.
  virtual base::Status TagAgentSocket(int fd) = 0;
  // The original destination published for a redirected connection, removed.
  // `application`: the client's end; `listener`: the agent's end as connected
  // to.
  virtual std::optional<base::Endpoint> TakeFlow(
      uint64_t cookie, const base::Endpoint& application,
      const base::Endpoint& listener) = 0;
};

// Unpins and detaches everything of ours below `bpf_dir` (every ABI version,
// finished or not, with or without a living agent) and tells what, a line each.
// Fine when there is nothing. REQUIRES: on a node without tcx, the thread is in
// the node's network namespace.
base::StatusOr<std::vector<std::string>> RemovePins(const std::string& bpf_dir);

}  // namespace nodeward::kernel
