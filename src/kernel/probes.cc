// SPDX-License-Identifier: Apache-2.0
#include "kernel/probes.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "kernel/address.h"
#include "kernel/pin.h"
#include "kernel/verifier_log.h"
#include "kernel/veth.h"
#include "probe.skel.h"

namespace nodeward::kernel {
namespace {

nodeward_probe_key KeyOf(uint64_t cookie, const base::Endpoint& port) {
  nodeward_probe_key key{};
  key.cookie = cookie;
  key.address = ToAbi(port.address);
  key.port = htons(port.port);
  return key;
}

// Makes the keys of `map` exactly `wanted`. Removes first: that makes room.
template <typename Key>
base::Status SetKeys(const Map<Key, uint32_t>& map,
                     const std::vector<Key>& wanted,
                     bool (*same)(const Key&, const Key&)) {
  for (const Key& key : map.Keys()) {
    if (std::none_of(wanted.begin(), wanted.end(),
                     [&](const Key& w) { return same(key, w); }))
      NODEWARD_TRY(map.Erase(key));
  }
  for (const Key& key : wanted) NODEWARD_TRY(map.Set(key, 1));
  return base::OkStatus();
}

}  // namespace

base::StatusOr<Probes> Probes::Load(SharedMaps& maps, const Features& features,
                                    const std::string& directory) {
  VerifierLog log;
  base::Handle<probe_bpf, probe_bpf::destroy> skeleton(probe_bpf::open());
  if (skeleton == nullptr)
    return base::ErrnoStatus(
        errno, base::StrCat("open BPF program probe: ", log.Tail()));
  NODEWARD_TRY(maps.Load(skeleton->obj, "probe"));
  Probes probes;
  probes.tcx_ = features.tcx;
  probes.directory_ = directory;
  probes.program_.Reset(
      fcntl(bpf_program__fd(skeleton->progs.probe), F_DUPFD_CLOEXEC, 0));
  if (!probes.program_.valid())
    return base::ErrnoStatus(errno, "keep the BPF program probe");
  NODEWARD_TRY(probes.OpenMaps(maps));
  NODEWARD_TRY(probes.OpenEvents(maps));
  return probes;
}

base::Status Probes::OpenMaps(const SharedMaps& maps) {
  NODEWARD_ASSIGN(veths_, (maps.Get<uint32_t, nodeward_veth>("veths")));
  NODEWARD_ASSIGN(ports_,
                  (maps.Get<nodeward_probe_key, uint32_t>("probe_ports")));
  NODEWARD_ASSIGN(cgroups_, (maps.Get<uint64_t, uint32_t>("kubelet_cgroups")));
  NODEWARD_ASSIGN(addresses_,
                  (maps.Get<nodeward_address, uint32_t>("node_addresses")));
  for (const nodeward_probe_key& key : ports_.Keys())
    written_ports_[key.cookie].insert(EndpointFromAbi(key.address, key.port));
  return base::OkStatus();
}

base::Status Probes::OpenEvents(const SharedMaps& maps) {
  NODEWARD_ASSIGN(events_map_, maps.Duplicate("probe_events"));
  handler_ = std::make_unique<EventHandler>();
  ring_.reset(ring_buffer__new(events_map_.get(), &Probes::OnEvent,
                               handler_.get(), nullptr));
  if (ring_ == nullptr)
    return base::ErrnoStatus(errno, "open the ring of probe events");
  return base::OkStatus();
}

base::Status Probes::Attach(uint64_t cookie, int ifindex, bool closed) {
  nodeward_veth veth{};
  veth.cookie = cookie;
  veth.closed = closed;
  bool known = veths_.Get(ifindex).has_value();
  NODEWARD_TRY(veths_.Set(ifindex, veth));
  base::Status status =
      VethHook(directory_, ifindex).Attach(program_.get(), tcx_);
  if (!status.ok() && !known) NODEWARD_TRY(veths_.Erase(ifindex));
  return status;
}

base::Status Probes::Detach(int ifindex) {
  NODEWARD_TRY(VethHook(directory_, ifindex).Detach());
  return veths_.Erase(ifindex);
}

base::Status Probes::DetachPod(uint64_t cookie) {
  for (uint32_t ifindex : veths_.Keys()) {
    auto veth = veths_.Get(ifindex);
    if (veth && veth->cookie == cookie) NODEWARD_TRY(Detach(ifindex));
  }
  return base::OkStatus();
}

base::Status Probes::SetPorts(uint64_t cookie,
                              const std::vector<base::Endpoint>& ports) {
  Ports& written = written_ports_[cookie];
  Ports wanted(ports.begin(), ports.end());
  for (const base::Endpoint& port : Ports(written)) {
    if (wanted.contains(port)) continue;
    NODEWARD_TRY(ports_.Erase(KeyOf(cookie, port)));
    written.erase(port);
  }
  for (const base::Endpoint& port : wanted) {
    if (written.contains(port)) continue;
    NODEWARD_TRY(
        base::Annotate(ports_.Set(KeyOf(cookie, port), 1),
                       base::StrCat("exempt probes of ", port.ToString())));
    written.insert(port);
  }
  if (written.empty()) written_ports_.erase(cookie);
  return base::OkStatus();
}

base::Status Probes::SetKubeletCgroups(const std::vector<uint64_t>& ids) {
  return SetKeys<uint64_t>(
      cgroups_, ids,
      [](const uint64_t& a, const uint64_t& b) { return a == b; });
}

base::Status Probes::SetNodeAddresses(
    const std::vector<base::IpAddress>& addresses) {
  std::vector<nodeward_address> keys;
  keys.reserve(addresses.size());
  for (const base::IpAddress& address : addresses)
    keys.push_back(ToAbi(address));
  return SetKeys<nodeward_address>(
      addresses_, keys,
      [](const nodeward_address& a, const nodeward_address& b) {
        return std::equal(a.bytes, a.bytes + 16, b.bytes);
      });
}

std::vector<uint64_t> Probes::Pods() const {
  std::vector<uint64_t> cookies;
  for (uint32_t ifindex : veths_.Keys())
    if (auto veth = veths_.Get(ifindex)) cookies.push_back(veth->cookie);
  for (const auto& [cookie, ports] : written_ports_) cookies.push_back(cookie);
  return cookies;
}

int Probes::events_fd() const { return ring_buffer__epoll_fd(ring_.get()); }

void Probes::DrainEvents(const EventHandler& handle) {
  *handler_ = handle;
  ring_buffer__consume(ring_.get());
  *handler_ = nullptr;
}

int Probes::OnEvent(void* handler, void* data, size_t size) {
  if (size < sizeof(nodeward_probe_event)) return 0;
  const auto& event = *static_cast<const nodeward_probe_event*>(data);
  (*static_cast<EventHandler*>(handler))(
      {.cookie = event.tuple.cookie,
       .pod = EndpointFromAbi(event.tuple.local, event.tuple.local_port),
       .source = EndpointFromAbi(event.tuple.remote, event.tuple.remote_port),
       .cgroup = event.cgroup});
  return 0;
}

}  // namespace nodeward::kernel
