// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/handle.h"
#include "base/ip.h"
#include "base/status.h"
#include "kernel/hooks.h"
#include "kernel/map.h"
#include "kernel/object.h"
#include "nodeward/abi/capture.h"

namespace nodeward::kernel {

// The probe exemption: one program on the host's side of every pod's veth, and
// what it knows of kubelet, node and probe ports. Hooks are pinned in
// `directory` (see VethHook). One thread, in the node's network namespace.
class Probes {
 public:
  static base::StatusOr<Probes> Load(SharedMaps& maps, const Features& features,
                                     const std::string& directory);

  base::Status Attach(uint64_t cookie, int ifindex, bool closed);
  base::Status Detach(int ifindex);
  // Of whatever veths are this pod's.
  base::Status DetachPod(uint64_t cookie);
  base::Status SetPorts(uint64_t cookie,
                        const std::vector<base::Endpoint>& ports);
  base::Status SetKubeletCgroups(const std::vector<uint64_t>& ids);
  base::Status SetNodeAddresses(const std::vector<base::IpAddress>& addresses);
  // Pods that have a veth or a probe port here.
  std::vector<uint64_t> Pods() const;

  int events_fd() const;
  void DrainEvents(const std::function<void(const ProbeEvent&)>& handle);

  // The folder was renamed.
  void MoveTo(const std::string& directory) { directory_ = directory; }

 private:
  using Ring = base::Handle<ring_buffer, ring_buffer__free>;
  using Ports = absl::flat_hash_set<base::Endpoint>;
  using EventHandler = std::function<void(const ProbeEvent&)>;

  Probes() = default;
  base::Status OpenMaps(const SharedMaps& maps);
  base::Status OpenEvents(const SharedMaps& maps);
  static int OnEvent(void* handler, void* data, size_t size);

  bool tcx_ = false;
  std::string directory_;
  base::Fd program_;
  Map<uint32_t, nodeward_veth> veths_;
  Map<nodeward_probe_key, uint32_t> ports_;
  Map<uint64_t, uint32_t> cgroups_;
  Map<nodeward_address, uint32_t> addresses_;
  absl::flat_hash_map<uint64_t, Ports> written_ports_;
  base::Fd events_map_;
  // On the heap: the ring keeps its address.
  std::unique_ptr<EventHandler> handler_;
  Ring ring_;
};

}  // namespace nodeward::kernel
