// SPDX-License-Identifier: Apache-2.0
#include "capture/node_enroller.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "capture/destinations.h"
#include "capture/leftovers.h"

namespace nodeward::capture {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1);
// Where changes are told, each namespace is still looked at every so often: a
// file system may come to lie over a watched folder.
constexpr size_t kTicksAround = 10;
constexpr absl::Duration kTurn = absl::Milliseconds(200);
constexpr absl::Duration kFirstBackOff = absl::Milliseconds(500);
constexpr absl::Duration kLastBackOff = absl::Seconds(10);

std::string Message(const base::Status& status) {
  return std::string(status.message());
}

}  // namespace

base::StatusOr<std::unique_ptr<NodeEnroller>> NodeEnroller::Create(
    io::Loop& loop, Options options, PodSink* sink,
    std::shared_ptr<kernel::Hooks> hooks) {
  std::unique_ptr<NodeEnroller> enroller(
      new NodeEnroller(loop, std::move(options)));
  NODEWARD_TRY(enroller->Begin(sink, std::move(hooks)));
  return enroller;
}

NodeEnroller::NodeEnroller(io::Loop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      finder_(options_.kubelet_cgroup, options_.kubelet_port),
      tick_(loop, [this] { Tick(); }) {}

base::Status NodeEnroller::Begin(PodSink* sink,
                                 std::shared_ptr<kernel::Hooks> hooks) {
  NODEWARD_ASSIGN(node_.home, Netns::Own());
  node_.hooks = std::move(hooks);
  node_.sink = sink;
  node_.forbids_plaintext = options_.forbids_plaintext;
  known_ = node_.hooks->KnownPods();
  NODEWARD_TRY(node_.hooks->SetMeshCidrs(options_.mesh_cidrs));
  NODEWARD_ASSIGN(addresses_,
                  NodeAddresses::Watch(loop_, [this] { SetNodeAddresses(); }));
  SetNodeAddresses();
  NODEWARD_ASSIGN(watch_, NetnsWatch::Create(loop_, [this] { LookAround(); }));
  NODEWARD_TRY(WatchProbes());
  kubelet_.reason = "not looked for yet";
  FindKubelet();
  // Whom a former agent took for the kubelet may be somebody else by now.
  if (kubelet_id_ == 0) NODEWARD_TRY(node_.hooks->SetKubeletCgroups({}));
  tick_.Set(kTick);
  return base::OkStatus();
}

base::Status NodeEnroller::WatchProbes() {
  NODEWARD_ASSIGN(probe_events_, ProbeEvents::Watch(loop_, node_.hooks,
                                                    [this](const auto& event) {
                                                      OnProbe(event);
                                                    }));
  return base::OkStatus();
}

// --- the whole node --------------------------------------------------------

void NodeEnroller::Apply(model::SnapshotPtr snapshot) {
  snapshot_ = std::move(snapshot);
  if (handing_over_) return;  // GoOn comes back to it
  // Destinations first: a pod must not be enrolled and send in plaintext what
  // the map does not name yet.
  const base::Status status =
      node_.hooks->SetDestinations(DestinationsOf(*snapshot_));
  if (!status.ok()) {
    base::LogError("the kernel does not know every destination of the mesh",
                   {{"error", Message(status)}});
  }
  for (auto& [uid, pod] : pods_) {
    pod.workload = nullptr;
    pod.due = true;
  }
  for (const auto& workload : snapshot_->workloads) {
    if (workload->node != options_.node) continue;
    Pod& pod = pods_[workload->uid];
    pod.workload = workload;
    pod.name = workload->QualifiedName();
    pod.due = true;
  }
  Work();
}

void NodeEnroller::Work() {
  if (handing_over_) return;
  // What is handed over is taken in one go: the other agent waits for it.
  const absl::Time end =
      handed_.empty() ? absl::Now() + kTurn : absl::InfiniteFuture();
  // Those that leave first: a successor may want their namespace.
  for (const bool leaving : {true, false}) {
    for (auto& [uid, pod] : pods_) {
      if (!pod.due || (pod.workload == nullptr) != leaving) continue;
      if (absl::Now() >= end) {
        if (std::exchange(work_posted_, true)) return;
        loop_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
          if (alive.expired()) return;
          work_posted_ = false;
          Work();
        });
        return;
      }
      pod.due = false;
      Reconcile(uid, pod);
    }
  }
  std::erase_if(pods_, [](const auto& entry) {
    return entry.second.workload == nullptr &&
           entry.second.engine == Engine::kNothing;
  });
  ForgetStrangers();
  RemoveOtherVersions();
  WatchNamespaces();
}

// Whatever they had is captured by now as it should be.
void NodeEnroller::RemoveOtherVersions() {
  if (snapshot_ == nullptr || former_serves_) return;
  if (std::exchange(others_removed_, true)) return;
  const auto removed = node_.hooks->RemoveOtherVersions();
  if (!removed.ok()) {
    base::LogError("hooks of another version of nodeward stay and refuse",
                   {{"error", Message(removed.status())}});
    return;
  }
  for (const std::string& what : *removed) {
    base::LogInfo("removed of another version", {{"what", what}});
  }
}

void NodeEnroller::WatchNamespaces() {
  std::set<std::string> paths;
  for (const auto& [uid, pod] : pods_) {
    if (pod.capture != nullptr) paths.insert(pod.netns_path);
    if (WantedOf(pod) == Wanted::kEnrolled) {
      paths.insert(pod.workload->netns_path);
    }
  }
  watch_->Watch(paths);
}

void NodeEnroller::LookAround() {
  for (auto& [uid, pod] : pods_) {
    const bool gone =
        pod.capture != nullptr && !pod.capture->netns().IsAt(pod.netns_path);
    const bool missed = pod.capture == nullptr && !pod.failure.ok();
    if (gone || missed) Reconcile(uid, pod);
  }
}

void NodeEnroller::Tick() {
  tick_.Set(kTick);
  if (!handing_over_) FindKubelet();
  ++ticks_;
  size_t place = 0;
  for (auto& [uid, pod] : pods_) {
    if (pod.capture == nullptr) continue;
    const bool due = (place++ + ticks_) % kTicksAround == 0;
    if (!due && watch_->Covers(pod.netns_path)) continue;
    if (!pod.capture->netns().IsAt(pod.netns_path)) Reconcile(uid, pod);
  }
}

void NodeEnroller::FindKubelet() {
  const auto found = finder_.Find();
  const uint64_t id = found.ok() ? found->id : 0;
  if (id == kubelet_id_) {
    if (!found.ok()) kubelet_.reason = Message(found.status());
    return;
  }
  const base::Status status = node_.hooks->SetKubeletCgroups(
      found.ok() ? std::vector<uint64_t>{id} : std::vector<uint64_t>{});
  if (!status.ok()) {
    // The former id stays, and this is tried again at the next tick.
    kubelet_ = {false, "", Message(status)};
    return;
  }
  kubelet_id_ = id;
  if (found.ok()) {
    kubelet_ = {true, found->folder, ""};
    base::LogInfo("kubelet found", {{"cgroup", found->folder}});
  } else {
    kubelet_ = {false, "", Message(found.status())};
    base::LogWarn("kubelet lost; its probes are refused",
                  {{"reason", kubelet_.reason}});
  }
}

void NodeEnroller::SetNodeAddresses() {
  if (handing_over_) return;
  const base::Status status =
      node_.hooks->SetNodeAddresses(addresses_->addresses());
  if (!status.ok()) {
    base::LogWarn("cannot tell the probe hook the node's addresses",
                  {{"error", Message(status)}});
  }
}

void NodeEnroller::OnProbe(const kernel::ProbeEvent& event) {
  ExemptedProbe probe{"", event.pod, event.source, ""};
  for (const auto& [uid, pod] : pods_) {
    if (pod.capture != nullptr &&
        pod.capture->netns().cookie() == event.cookie) {
      probe.pod = pod.name;
    }
  }
  probe.cgroup = event.cgroup == kubelet_id_ ? kubelet_.cgroup
                                             : base::StrCat(event.cgroup);
  if (options_.on_exempted_probe != nullptr) {
    options_.on_exempted_probe(probe);
    return;
  }
  base::LogInfo("kubelet's probe let through",
                {{"pod", probe.pod},
                 {"target", probe.target.ToString()},
                 {"source", probe.source.ToString()},
                 {"cgroup", probe.cgroup}});
}

void NodeEnroller::ForgetStrangers() {
  if (snapshot_ == nullptr || known_.empty() || former_lives_) return;
  std::vector<uint64_t> strangers = std::move(known_);
  known_.clear();
  std::erase_if(strangers, [&](uint64_t cookie) {
    return std::any_of(pods_.begin(), pods_.end(), [&](const auto& entry) {
      const auto& capture = entry.second.capture;
      return capture != nullptr && capture->netns().cookie() == cookie;
    });
  });
  for (const uint64_t cookie : strangers) {
    const base::Status status = node_.hooks->Forget(cookie);
    base::LogInfo(
        "removed the hooks of a pod that left while no agent ran",
        {{"netns_cookie", base::StrCat(cookie)}, {"error", Message(status)}});
  }
  if (strangers.empty()) return;
  std::vector<std::string> paths;
  for (const auto& workload : snapshot_->workloads) {
    if (!workload->netns_path->empty()) paths.push_back(workload->netns_path);
  }
  RemoveSteeringFrom(*node_.home, strangers, paths);
}

absl::flat_hash_map<std::string, uint64_t> NodeEnroller::Counters() const {
  return node_.hooks->Counters();
}

// --- one pod ---------------------------------------------------------------

NodeEnroller::Wanted NodeEnroller::WantedOf(const Pod& pod) {
  if (pod.workload == nullptr) return Wanted::kNothing;
  const model::Workload& workload = *pod.workload;
  const bool placed = !workload.ips.empty() && !workload.netns_path->empty();
  if (workload.in_mesh()) return placed ? Wanted::kEnrolled : Wanted::kAsIs;
  // It may still run, and must not be opened to plaintext while it does.
  return workload.opted_in && placed ? Wanted::kSealed : Wanted::kNothing;
}

bool NodeEnroller::HasMoved(Pod& pod) const {
  if (pod.capture == nullptr) return false;
  if (pod.workload != nullptr && !pod.workload->netns_path->empty()) {
    pod.netns_path = pod.workload->netns_path;
  }
  return !pod.capture->netns().IsAt(pod.netns_path);
}

void NodeEnroller::Reconcile(const std::string& uid, Pod& pod) {
  const Wanted wanted = WantedOf(pod);
  const bool gone = HasMoved(pod);
  if (handing_over_) {
    pod.due = true;
    // Its sockets would keep the namespace; its hooks are not ours.
    if (gone && pod.engine == Engine::kServes) Part(uid, pod, true);
    return;
  }
  switch (pod.engine) {
    case Engine::kServes:
      Serve(uid, pod, wanted, gone);
      return;
    case Engine::kDrains:
      // Wanted again, or not there any more: the rest of the drain is cut
      // short.
      if (wanted != Wanted::kNothing || pod.workload == nullptr || gone) {
        Part(uid, pod, true);
      }
      return;
    case Engine::kKills:
      return;
    case Engine::kNothing:
      break;
  }
  if (gone || wanted == Wanted::kNothing) {
    if (pod.capture != nullptr) pod.capture->Undo();
    pod.capture.reset();
    pod.sealed = false;
  }
  if (wanted == Wanted::kNothing || wanted == Wanted::kAsIs) {
    pod.failure = base::OkStatus();
    pod.retry.reset();
    return;
  }
  Settle(uid, pod, Enter(pod, wanted));
}

void NodeEnroller::Serve(const std::string& uid, Pod& pod, Wanted wanted,
                         bool gone) {
  if (gone || (wanted == Wanted::kNothing && pod.workload == nullptr)) {
    Part(uid, pod, true);
    pod.capture->Unhook();
  } else if (wanted == Wanted::kNothing) {
    Part(uid, pod, false);
  } else if (wanted == Wanted::kSealed) {
    // The hooks stay; with the listeners gone they close.
    Part(uid, pod, true);
  } else if (wanted == Wanted::kEnrolled) {
    Settle(uid, pod, pod.capture->Update(*pod.workload, *snapshot_));
  }
}

void NodeEnroller::Part(const std::string& uid, Pod& pod, bool kill) {
  const uint64_t asked = ++pod.asked;
  std::function<void()> done = [this, loop = &loop_, uid, asked,
                                alive = std::weak_ptr<bool>(alive_)] {
    loop->Post([this, uid, asked, alive] {
      if (!alive.expired()) OnEngineDone(uid, asked);
    });
  };
  pod.failure = base::OkStatus();
  pod.retry.reset();
  base::LogInfo(
      "pod leaves the mesh",
      {{"pod", pod.name}, {"connections", kill ? "closed" : "drained"}});
  if (kill) {
    pod.engine = Engine::kKills;
    pod.capture->Kill(std::move(done));
  } else {
    pod.engine = Engine::kDrains;
    pod.capture->Drain(std::move(done));
  }
}

void NodeEnroller::OnEngineDone(const std::string& uid, uint64_t asked) {
  const auto found = pods_.find(uid);
  if (found == pods_.end() || found->second.asked != asked) return;
  found->second.engine = Engine::kNothing;
  found->second.capture->EngineDone();
  found->second.due = true;
  for (auto& [other_uid, other] : pods_) {
    // It may have waited for this one's namespace.
    if (other.capture == nullptr && !other.failure.ok()) other.due = true;
  }
  Work();
}

base::Status NodeEnroller::Open(const std::string& uid, Pod& pod) {
  const std::string& path = pod.workload->netns_path;
  NODEWARD_ASSIGN(NetnsPtr netns, Netns::Open(path));
  if (netns->cookie() == node_.home->cookie()) {
    return absl::InvalidArgumentError(base::StrCat(
        "open network namespace ", path,
        ": it is the node's own; a pod with hostNetwork cannot be in the mesh, "
        "else correct the annotation nodeward.io/netns"));
  }
  for (auto& [other_uid, other] : pods_) {
    if (other_uid == uid || other.capture == nullptr ||
        other.capture->netns().cookie() != netns->cookie()) {
      continue;
    }
    if (other.engine == Engine::kNothing && pod.workload->in_mesh() &&
        WantedOf(other) == Wanted::kSealed) {
      // A pod that has ended makes way; its hooks, which go by the namespace,
      // are taken over as they are.
      other.capture.reset();
      continue;
    }
    return absl::FailedPreconditionError(
        base::StrCat("open network namespace ", path, ": pod ", other.name,
                     " has it; each pod needs one of its own"));
  }
  pod.netns_path = path;
  pod.adopted =
      std::find(known_.begin(), known_.end(), netns->cookie()) != known_.end();
  pod.capture = std::make_unique<PodCapture>(node_, uid, std::move(netns));
  return base::OkStatus();
}

base::Status NodeEnroller::Enter(Pod& pod, Wanted wanted) {
  if (pod.capture == nullptr) {
    const base::Status opened = Open(pod.workload->uid, pod);
    // Nothing is left of a pod that has ended, or its successor has it all.
    if (wanted == Wanted::kSealed && !opened.ok()) return base::OkStatus();
    NODEWARD_TRY(opened);
  }
  if (wanted == Wanted::kSealed) {
    pod.sealed = true;
    return pod.capture->Seal(*pod.workload, *snapshot_);
  }
  const absl::Time start = absl::Now();
  std::optional<HandedPod> handed =
      TakeHanded(pod.workload->uid, pod.capture->netns().cookie());
  pod.handed = handed.has_value();
  const base::Status status =
      pod.capture->Enrol(*pod.workload, *snapshot_, std::move(handed));
  if (pod.capture->enrolled()) {
    pod.engine = Engine::kServes;
    pod.sealed = false;
    base::LogInfo(
        "pod enrolled",
        {{"pod", pod.name},
         {"ms", base::StrCat(absl::ToInt64Milliseconds(absl::Now() - start))},
         {"notes", pod.capture->Notes()}});
  }
  return status;
}

void NodeEnroller::Settle(const std::string& uid, Pod& pod,
                          const base::Status& status) {
  if (status.ok()) {
    pod.failure = status;
    pod.back_off = absl::ZeroDuration();
    pod.retry.reset();
    return;
  }
  if (pod.failure != status) {
    base::LogWarn("pod is not enrolled as it should be",
                  {{"pod", pod.name}, {"error", Message(status)}});
  }
  pod.failure = status;
  if (pod.capture != nullptr && !pod.capture->enrolled()) CloseOrOpen(pod);
  pod.back_off = std::clamp(2 * pod.back_off, kFirstBackOff, kLastBackOff);
  if (pod.retry == nullptr) {
    pod.retry = std::make_unique<io::Timer>(loop_, [this, uid] {
      const auto found = pods_.find(uid);
      if (found == pods_.end()) return;
      // Not from inside its own callback: Reconcile may drop the timer.
      loop_.Defer([this, uid, alive = std::weak_ptr<bool>(alive_)] {
        const auto again = pods_.find(uid);
        if (!alive.expired() && again != pods_.end()) {
          Reconcile(uid, again->second);
        }
      });
    });
  }
  pod.retry->Set(pod.back_off);
}

void NodeEnroller::CloseOrOpen(Pod& pod) {
  // Half enrolled: where policy would forbid plaintext it stays out, elsewhere
  // the application goes on as if there were no mesh. What a former agent had
  // in the mesh, or has ended, stays closed in any case.
  if (WantedOf(pod) == Wanted::kSealed) return;
  if (ForbidsAnyPlaintext(node_, *pod.workload, *snapshot_)) {
    pod.sealed = true;
    pod.failure.Update(pod.capture->Seal(*pod.workload, *snapshot_));
  } else if (!pod.adopted) {
    pod.sealed = false;
    pod.capture->Unhook();
  }
}

// --- status ----------------------------------------------------------------

std::vector<PodStatus> NodeEnroller::status() const {
  std::vector<PodStatus> all;
  for (const auto& [uid, pod] : pods_) {
    if (pod.workload != nullptr) all.push_back(StatusOf(uid, pod));
  }
  std::sort(all.begin(), all.end(), [](const PodStatus& a, const PodStatus& b) {
    return std::tie(a.name_space, a.name) < std::tie(b.name_space, b.name);
  });
  return all;
}

std::map<std::string, bool> NodeEnroller::Enrolled() const {
  std::map<std::string, bool> known;
  for (const auto& [uid, pod] : pods_) {
    if (pod.workload == nullptr) continue;
    const PodState state = StateOf(pod);
    if (state == PodState::kEnrolled) known.emplace(uid, true);
    if (state == PodState::kSkipped) known.emplace(uid, false);
  }
  return known;
}

PodState NodeEnroller::StateOf(const Pod& pod) {
  const model::Workload& workload = *pod.workload;
  if (pod.engine == Engine::kDrains) return PodState::kDraining;
  if (pod.engine == Engine::kKills) {
    return workload.in_mesh() ? PodState::kPending : PodState::kDraining;
  }
  if (!pod.failure.ok()) return PodState::kFailed;
  if (pod.engine == Engine::kServes) return PodState::kEnrolled;
  if (workload.membership == model::Membership::kConflict) {
    return PodState::kFailed;
  }
  return workload.in_mesh() ? PodState::kPending : PodState::kSkipped;
}

std::string NodeEnroller::ReasonOf(const Pod& pod, PodState state) const {
  const model::Workload& workload = *pod.workload;
  const std::string membership =
      base::StrCat(model::MembershipText(workload.membership),
                   workload.membership_reason->empty() ? "" : ": ",
                   *workload.membership_reason);
  if (pod.engine == Engine::kKills) {
    return "its former connections are being closed";
  }
  switch (state) {
    case PodState::kDraining:
      return membership + "; its open connections end";
    case PodState::kFailed:
      if (pod.failure.ok()) return membership;
      return Message(pod.failure) + (pod.sealed ? "; closed until then" : "");
    case PodState::kEnrolled:
      return pod.capture->Notes();
    case PodState::kSkipped:
      return membership;
    case PodState::kPending:
      break;
  }
  if (pod.due) return "its turn comes";
  return workload.ips.empty() ? "the pod has no address yet"
                              : options_.netns_hint;
}

PodStatus NodeEnroller::StatusOf(const std::string& uid, const Pod& pod) const {
  const model::Workload& workload = *pod.workload;
  const PodState state = StateOf(pod);
  PodStatus status{.uid = uid,
                   .name = workload.name,
                   .name_space = workload.name_space,
                   .state = state,
                   .reason = ReasonOf(pod, state),
                   .netns_cookie = 0,
                   .host_interface = "",
                   .probe_exemption = false};
  if (pod.capture != nullptr) {
    status.netns_cookie = pod.capture->netns().cookie();
    status.host_interface = pod.capture->host_interface();
    status.probe_exemption = pod.capture->probe_hook() && kubelet_.found;
  }
  return status;
}

}  // namespace nodeward::capture
