// SPDX-License-Identifier: Apache-2.0
#include "kernel/hooks.h"

#include <algorithm>

#include "base/text.h"
#include "kernel/counters.h"
#include "kernel/destinations.h"
#include "kernel/features.h"
#include "kernel/guard.h"
#include "kernel/inbound.h"
#include "kernel/object.h"
#include "kernel/outbound.h"
#include "kernel/pin.h"
#include "kernel/probes.h"
#include "kernel/remove.h"

namespace nodeward::kernel {
namespace {

//   <bpf_dir>/v1/maps/<name>
//               /links/<hook>
//               /pods/<cookie>/{link,listeners}
//               /veths/<ifindex>[-clsact]
//               /guards/<cookie>/<ifindex>[-clsact-ingress]
struct Layout {
  explicit Layout(const std::string& root)
      : maps(base::StrCat(root, "/maps")),
        links(base::StrCat(root, "/links")),
        pods(base::StrCat(root, "/pods")),
        veths(base::StrCat(root, "/veths")),
        guards(base::StrCat(root, "/guards")) {}
  std::string maps, links, pods, veths, guards;
};

class KernelHooks final : public Hooks {
 public:
  KernelHooks(std::string bpf_dir, Features features, SharedMaps maps)
      : bpf_dir_(std::move(bpf_dir)),
        features_(features),
        maps_(std::move(maps)) {}

  base::Status Start(const Layout& layout, const std::string& cgroup_path);
  void MoveTo(const Layout& layout) {
    maps_.MoveTo(layout.maps);
    inbound_->MoveTo(layout.pods);
    probes_->MoveTo(layout.veths);
    guard_->MoveTo(layout.guards);
  }

  const Features& features() const override { return features_; }

  base::Status AttachLookup(uint64_t cookie, int netns_fd) override {
    return inbound_->Attach(cookie, netns_fd);
  }
  base::Status SetListener(uint64_t cookie, Slot slot,
                           int listener_fd) override {
    return inbound_->SetListener(cookie, slot, listener_fd);
  }
  base::Status DetachLookup(uint64_t cookie) override {
    return inbound_->Detach(cookie);
  }
  base::Status EnableConnect(uint64_t cookie, const base::IpAddress* v4,
                             const base::IpAddress* v6) override {
    return outbound_->Enable(cookie, v4, v6);
  }
  base::Status DisableConnect(uint64_t cookie) override {
    return outbound_->Disable(cookie);
  }
  base::Status AttachProbe(uint64_t cookie, int ifindex, bool closed) override {
    return probes_->Attach(cookie, ifindex, closed);
  }
  base::Status DetachProbe(int ifindex) override {
    return probes_->Detach(ifindex);
  }
  base::Status AttachGuard(uint64_t cookie, int ifindex) override {
    return guard_->Attach(cookie, ifindex);
  }
  base::Status DetachGuard(uint64_t cookie) override {
    return guard_->Detach(cookie);
  }
  base::Status SetProbePorts(
      uint64_t cookie, const std::vector<base::Endpoint>& ports) override {
    return probes_->SetPorts(cookie, ports);
  }
  std::vector<uint64_t> KnownPods() const override;
  base::Status Forget(uint64_t cookie) override;

  base::Status SetDestinations(
      const std::vector<Destination>& destinations) override {
    return destinations_->Set(destinations);
  }
  base::Status SetMeshCidrs(const std::vector<base::Cidr>& cidrs) override {
    return destinations_->SetMeshCidrs(cidrs);
  }
  base::Status SetKubeletCgroups(
      const std::vector<uint64_t>& cgroup_ids) override {
    return probes_->SetKubeletCgroups(cgroup_ids);
  }
  base::Status SetNodeAddresses(
      const std::vector<base::IpAddress>& addresses) override {
    return probes_->SetNodeAddresses(addresses);
  }
  absl::flat_hash_map<std::string, uint64_t> Counters() const override {
    return counters_->Read();
  }
  base::StatusOr<std::vector<std::string>> RemoveOtherVersions() override {
    return RemoveOtherPins(bpf_dir_);
  }
  base::Status Reread() override {
    NODEWARD_ASSIGN(destinations_, Destinations::Open(maps_));
    return base::OkStatus();
  }
  int probe_events_fd() const override { return probes_->events_fd(); }
  void DrainProbeEvents(
      const std::function<void(const ProbeEvent&)>& handle) override {
    probes_->DrainEvents(handle);
  }

  base::Status TagAgentSocket(int fd) override {
    return outbound_->TagAgentSocket(fd);
  }
  std::optional<base::Endpoint> TakeFlow(
      uint64_t cookie, const base::Endpoint& application,
      const base::Endpoint& listener) override {
    return outbound_->TakeFlow(cookie, application, listener);
  }

 private:
  const std::string bpf_dir_;
  // Constant after Start.
  Features features_;
  SharedMaps maps_;
  std::optional<kernel::Counters> counters_;
  std::optional<Destinations> destinations_;
  std::optional<Inbound> inbound_;
  std::optional<Outbound> outbound_;
  std::optional<Probes> probes_;
  std::optional<Guard> guard_;
};

base::Status KernelHooks::Start(const Layout& layout,
                                const std::string& cgroup_path) {
  // Everything is loaded before anything is attached.
  NODEWARD_ASSIGN(outbound_, Outbound::Load(maps_, features_));
  NODEWARD_ASSIGN(inbound_, Inbound::Open(maps_, layout.pods));
  NODEWARD_ASSIGN(probes_, Probes::Load(maps_, features_, layout.veths));
  NODEWARD_ASSIGN(guard_, Guard::Load(maps_, features_, layout.guards));
  NODEWARD_ASSIGN(destinations_, Destinations::Open(maps_));
  NODEWARD_ASSIGN(counters_, kernel::Counters::Open(maps_));
  return outbound_->Attach(layout.links, cgroup_path);
}

std::vector<uint64_t> KernelHooks::KnownPods() const {
  std::vector<uint64_t> cookies = inbound_->Pods();
  for (uint64_t cookie : outbound_->Pods()) cookies.push_back(cookie);
  for (uint64_t cookie : probes_->Pods()) cookies.push_back(cookie);
  for (uint64_t cookie : guard_->Pods()) cookies.push_back(cookie);
  std::sort(cookies.begin(), cookies.end());
  cookies.erase(std::unique(cookies.begin(), cookies.end()), cookies.end());
  return cookies;
}

base::Status KernelHooks::Forget(uint64_t cookie) {
  // Outbound first: nothing more is sent to an agent that is leaving.
  NODEWARD_TRY(outbound_->Disable(cookie));
  NODEWARD_TRY(guard_->Detach(cookie));
  NODEWARD_TRY(probes_->SetPorts(cookie, {}));
  NODEWARD_TRY(probes_->DetachPod(cookie));
  return inbound_->Detach(cookie);
}

// What an agent left that died while building.
base::Status RemoveUnfinished(const std::string& directory) {
  for (const std::string& name : ListDirectory(directory))
    if (name.ends_with(kUnfinished))
      NODEWARD_TRY(RemovePin(base::StrCat(directory, "/", name)));
  return base::OkStatus();
}

}  // namespace

base::StatusOr<std::unique_ptr<Hooks>> Hooks::Load(const Options& options) {
  NODEWARD_TRY(MakePinDirectory(options.bpf_dir));
  std::string root = base::StrCat(options.bpf_dir, "/v", PinVersion());
  bool adopt = PathExists(root);
  NODEWARD_TRY(RemovePin(base::StrCat(root, kUnfinished)));
  std::string aside = adopt ? root : base::StrCat(root, kUnfinished);
  Layout layout(aside);
  for (const std::string& directory :
       {layout.maps, layout.links, layout.pods, layout.veths, layout.guards}) {
    NODEWARD_TRY(MakePinDirectory(directory));
    NODEWARD_TRY(RemoveUnfinished(directory));
  }
  NODEWARD_ASSIGN(SharedMaps maps, SharedMaps::Open(layout.maps));
  for (const std::string& name : ListVersions(options.bpf_dir)) {
    const std::string other = base::StrCat(options.bpf_dir, "/", name);
    if (other != aside) maps.ShareConnections(Layout(other).maps);
  }
  auto hooks = std::make_unique<KernelHooks>(options.bpf_dir, ProbeFeatures(),
                                             std::move(maps));
  base::Status status = hooks->Start(layout, options.cgroup_path);
  if (status.ok() && !adopt) {
    status = RenamePin(aside, root);
    if (status.ok()) hooks->MoveTo(Layout(root));
  }
  if (status.ok()) return hooks;
  if (!adopt) (void)RemovePin(aside);
  return status;
}

}  // namespace nodeward::kernel
