// SPDX-License-Identifier: Apache-2.0
#include "capture/pod_capture.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "capture/listeners.h"
#include "capture/steering.h"

namespace nodeward::capture {
namespace {

const base::IpAddress* FirstOf(const std::vector<base::IpAddress>& ips,
                               int family) {
  const auto found = std::find_if(
      ips.begin(), ips.end(),
      [&](const base::IpAddress& ip) { return ip.family() == family; });
  return found == ips.end() ? nullptr : &*found;
}

// For clean-up, where there is nobody to return an error to.
void LogFailure(const base::Status& status, std::string_view uid) {
  if (status.ok()) return;
  base::LogWarn(
      "could not undo all of a pod's capture",
      {{"pod", std::string(uid)}, {"error", std::string(status.message())}});
}

}  // namespace

bool ForbidsAnyPlaintext(const NodeContext& node,
                         const model::Workload& workload,
                         const model::Snapshot& snapshot) {
  const auto forbids = [&](uint16_t port) {
    return node.forbids_plaintext(snapshot, workload, base::IpAddress(), port);
  };
  // 0: a port that nothing declares.
  return forbids(0) || std::any_of(workload.ports.begin(), workload.ports.end(),
                                   [&](const model::ContainerPort& port) {
                                     return forbids(port.port);
                                   });
}

PodCapture::PodCapture(NodeContext& node, std::string uid, NetnsPtr netns)
    : node_(node), uid_(std::move(uid)), netns_(std::move(netns)) {}

PodCapture::~PodCapture() {
  if (network_ != nullptr) network_->Close();
}

std::string PodCapture::Notes() const {
  std::string notes;
  for (const std::string* note :
       {&earlier_note_, &probe_note_, &family_note_}) {
    if (note->empty()) continue;
    base::StrAppend(&notes, notes.empty() ? "" : "; ", *note);
  }
  return notes;
}

base::Status PodCapture::Enrol(const model::Workload& workload,
                               const model::Snapshot& snapshot,
                               std::optional<HandedPod> handed) {
  NODEWARD_ASSIGN(Listeners listeners, handed.has_value()
                                           ? TakeOver(*std::move(handed))
                                           : OpenInbound(workload));
  NODEWARD_TRY(FillSlots(listeners));
  network_ = std::make_shared<PodNetwork>(netns_, node_.home, node_.hooks,
                                          AddressesOf(workload));
  listeners_ = CookiesOf(listeners);
  node_.listeners.insert(listeners_.begin(), listeners_.end());
  node_.sink->Add(uid_, network_, std::move(listeners));
  return Update(workload, snapshot);
}

base::StatusOr<Listeners> PodCapture::OpenInbound(
    const model::Workload& workload) {
  NODEWARD_ASSIGN(Listeners listeners,
                  OpenListeners(*netns_, *node_.home, node_.listeners));
  // With empty slots: closed from here on.
  NODEWARD_TRY(AttachLookup());
  NODEWARD_ASSIGN(auto former, InstallSteering(*netns_, *node_.home));
  if (!std::exchange(steered_, true)) former_sysctls_ = std::move(former);
  // After the hook and some more steps, so that a SYN which passed the hook's
  // place just before has become a socket; before the slots, so that none of
  // what is listed is the agent's.
  NODEWARD_TRY(earlier_.Collect(*netns_, *node_.home, AddressesOf(workload)));
  return listeners;
}

// What the other agent has open in the pod by now is no earlier connection: it
// knows those.
base::StatusOr<Listeners> PodCapture::TakeOver(HandedPod handed) {
  NODEWARD_TRY(CheckListeners(handed.listeners, netns_->cookie()));
  NODEWARD_TRY(AttachLookup());
  NODEWARD_TRY(InstallSteering(*netns_, *node_.home).status());
  steered_ = true;
  former_sysctls_ = std::move(handed.former_sysctls);
  earlier_.Take(std::move(handed.earlier));
  return std::move(handed.listeners);
}

HandedPod PodCapture::HandOver() const {
  return {.uid = uid_,
          .netns_cookie = netns_->cookie(),
          .listeners = {},
          .earlier = earlier_.connections(),
          .former_sysctls = former_sysctls_};
}

base::Status PodCapture::AttachLookup() {
  if (lookup_) return base::OkStatus();
  NODEWARD_TRY(node_.hooks->AttachLookup(netns_->cookie(), netns_->fd()));
  lookup_ = true;
  return base::OkStatus();
}

base::Status PodCapture::FillSlots(const Listeners& listeners) {
  const uint64_t cookie = netns_->cookie();
  family_note_.clear();
  using kernel::Slot;
  kernel::Hooks& hooks = *node_.hooks;
  NODEWARD_TRY(hooks.SetListener(cookie, Slot::kHbone, listeners.hbone.get()));
  NODEWARD_TRY(
      hooks.SetListener(cookie, Slot::kInbound4, listeners.inbound4.get()));
  if (listeners.inbound6.valid()) {
    return hooks.SetListener(cookie, Slot::kInbound6, listeners.inbound6.get());
  }
  family_note_ =
      "plaintext over IPv6 is refused: the pod's lo has no IPv6 "
      "(net.ipv6.conf.lo.disable_ipv6)";
  return base::OkStatus();
}

base::Status PodCapture::Update(const model::Workload& workload,
                                const model::Snapshot& snapshot) {
  base::Status status = DestroyEarlier(workload, snapshot);
  if (connect_ips_ != workload.ips) {
    network_->SetAddresses(AddressesOf(workload));
  }
  AttachProbe(workload, false);
  status.Update(SetGuard(workload));
  status.Update(EnableConnect(workload));
  return status;
}

base::Status PodCapture::Seal(const model::Workload& workload,
                              const model::Snapshot& snapshot) {
  base::Status status = AttachLookup();
  AttachProbe(workload, true);
  status.Update(SetGuard(workload));
  status.Update(EnableConnect(workload));
  status.Update(earlier_.Collect(*netns_, *node_.home, AddressesOf(workload)));
  status.Update(DestroyEarlier(workload, snapshot));
  return status;
}

base::Status PodCapture::EnableConnect(const model::Workload& workload) {
  if (connect_ips_ == workload.ips) return base::OkStatus();
  NODEWARD_TRY(node_.hooks->EnableConnect(netns_->cookie(),
                                          FirstOf(workload.ips, AF_INET),
                                          FirstOf(workload.ips, AF_INET6)));
  connect_ips_ = workload.ips;
  return base::OkStatus();
}

void PodCapture::AttachProbe(const model::Workload& workload, bool closed) {
  const uint64_t cookie = netns_->cookie();
  base::Status status = SetProbePorts(workload);
  if (host_.index == 0 || probe_closed_ != closed) {
    auto host = FindHostInterface(*netns_, *node_.home, workload.ips);
    if (host.ok()) {
      status.Update(node_.hooks->AttachProbe(cookie, host->index, closed));
    } else {
      status.Update(host.status());
    }
    if (status.ok()) {
      host_ = *std::move(host);
      probe_closed_ = closed;
    }
  }
  probe_note_ = status.ok() ? ""
                            : base::StrCat("the kubelet's probes are refused: ",
                                           std::string(status.message()));
}

base::Status PodCapture::SetGuard(const model::Workload& workload) {
  if (!workload.requires_mtls) {
    if (guarded_ == 0) return base::OkStatus();
    NODEWARD_TRY(node_.hooks->DetachGuard(netns_->cookie()));
    guarded_ = 0;
    return base::OkStatus();
  }
  if (host_.index == 0) {
    return absl::FailedPreconditionError(
        base::StrCat("raw packets of a pod that must speak mutual TLS are not "
                     "held: ",
                     probe_note_));
  }
  if (guarded_ == host_.index) return base::OkStatus();
  NODEWARD_TRY(node_.hooks->AttachGuard(netns_->cookie(), host_.index));
  guarded_ = host_.index;
  return base::OkStatus();
}

base::Status PodCapture::SetProbePorts(const model::Workload& workload) {
  std::vector<base::Endpoint> ports;
  for (const base::IpAddress& ip : workload.ips) {
    for (const uint16_t port : workload.probe_ports)
      ports.push_back({ip, port});
  }
  if (ports == probe_ports_) return base::OkStatus();
  NODEWARD_TRY(node_.hooks->SetProbePorts(netns_->cookie(), ports));
  probe_ports_ = std::move(ports);
  return base::OkStatus();
}

base::Status PodCapture::DestroyEarlier(const model::Workload& workload,
                                        const model::Snapshot& snapshot) {
  const base::Status status = earlier_.Destroy(
      *netns_, *node_.home, [&](const base::IpAddress& source, uint16_t port) {
        return node_.forbids_plaintext(snapshot, workload, source, port);
      });
  // Nothing that trying again could mend.
  const bool cannot = status.code() == absl::StatusCode::kUnimplemented;
  earlier_note_ = cannot ? std::string(status.message()) : "";
  return cannot ? base::OkStatus() : status;
}

std::vector<base::IpAddress> PodCapture::AddressesOf(
    const model::Workload& workload) const {
  std::vector<base::IpAddress> addresses = workload.ips;
  const base::Status status = netns_->Run(*node_.home, [&]() -> base::Status {
    NODEWARD_ASSIGN(Netlink route, Netlink::Open(NETLINK_ROUTE));
    NODEWARD_ASSIGN(const auto found, DumpAddresses(route));
    for (const auto& each : found) addresses.push_back(each.address);
    return base::OkStatus();
  });
  // The declared ones remain, which are those that matter.
  LogFailure(status, uid_);
  return addresses;
}

void PodCapture::HooksMayBeGone() {
  host_ = {};
  guarded_.reset();
}

void PodCapture::Drain(std::function<void()> drained) {
  const uint64_t cookie = netns_->cookie();
  base::Status status = node_.hooks->DisableConnect(cookie);
  status.Update(node_.hooks->DetachGuard(cookie));
  status.Update(node_.hooks->DetachLookup(cookie));
  LogFailure(status, uid_);
  guarded_ = 0;
  lookup_ = false;
  connect_ips_.clear();
  node_.sink->Drain(uid_, std::move(drained));
}

void PodCapture::Kill(std::function<void()> killed) {
  network_->Close();
  node_.sink->Kill(uid_, std::move(killed));
}

void PodCapture::EngineDone() {
  network_.reset();
  for (const uint64_t cookie : listeners_) node_.listeners.erase(cookie);
  listeners_.clear();
}

void PodCapture::Unhook() {
  LogFailure(node_.hooks->Forget(netns_->cookie()), uid_);
  guarded_.reset();
  lookup_ = false;
  connect_ips_.clear();
  probe_ports_.clear();
  host_ = {};
}

void PodCapture::Undo() {
  Unhook();
  if (!std::exchange(steered_, false)) return;
  LogFailure(RemoveSteering(*netns_, *node_.home, former_sysctls_), uid_);
}

}  // namespace nodeward::capture
