// SPDX-License-Identifier: Apache-2.0
#include "hbone/pod.h"

#include <utility>

#include "hbone/listener.h"
#include "hbone/worker.h"

namespace nodeward::hbone {

Member::Member(Worker* worker, Pod* pod, Kind kind)
    : worker_(worker), pod_(pod), kind_(kind) {
  if (is_inbound()) {
    pod_->shared().inbound.fetch_add(1, std::memory_order_relaxed);
  }
  worker_->Count(*this, 1);
}

Member::~Member() = default;

void Member::Leave() {
  if (std::exchange(left_, true)) return;
  if (is_inbound()) {
    pod_->shared().inbound.fetch_sub(1, std::memory_order_relaxed);
  }
  worker_->Count(*this, -1);
  worker_->workshop().Retire(pod_->Release(this));
}

Pod::Pod(Worker* worker, std::shared_ptr<SharedPod> shared,
         std::shared_ptr<PodListeners> listeners)
    : worker_(worker),
      shared_(std::move(shared)),
      sockets_(std::move(listeners)) {}

Pod::~Pod() { StopListening(); }

void Pod::Refresh(const MeshView& mesh) {
  workload_ = mesh.FindPod(uid());
  policy_ = workload_ == nullptr ? nullptr : mesh.rules().For(*workload_);
}

void Pod::Listen() {
  if (sockets_ == nullptr || !listeners_.empty()) return;
  const auto add = [this](const base::Fd& fd, Listener::Kind kind) {
    if (!fd.valid()) return;
    auto listener = std::make_unique<Listener>(worker_, this, fd.get(), kind);
    listener->Start();
    listeners_.push_back(std::move(listener));
  };
  add(sockets_->outbound4, Listener::Kind::kOutbound);
  add(sockets_->outbound6, Listener::Kind::kOutbound);
  add(sockets_->inbound4, Listener::Kind::kInboundPlain);
  add(sockets_->inbound6, Listener::Kind::kInboundPlain);
  add(sockets_->hbone, Listener::Kind::kInboundTunnel);
}

void Pod::StopListening() {
  listeners_.clear();
  sockets_.reset();
}

void Pod::Drain(std::function<void()> drained) {
  draining_ = true;
  StopListening();
  if (drained != nullptr) drained_.push_back(std::move(drained));
  ForEach([](Member& member) { member.Drain(); });
  if (members_.empty()) {
    for (auto& each : std::exchange(drained_, {})) each();
  }
}

void Pod::AbortAll(observe::Outcome outcome, const std::string& detail) {
  // Connections before the tunnels under them: each tells its true cause.
  for (const bool tunnels : {false, true}) {
    ForEach([&](Member& member) {
      if (member.is_tunnel() == tunnels) member.Abort(outcome, detail);
    });
  }
}

void Pod::ForEach(const std::function<void(Member&)>& visit) {
  // Members that leave meanwhile live on until the end of the round.
  std::vector<Member*> members;
  members.reserve(members_.size());
  for (const auto& member : members_) members.push_back(member.get());
  for (Member* member : members) {
    if (!member->left()) visit(*member);
  }
}

Member* Pod::Adopt(std::unique_ptr<Member> member) {
  Member* const adopted = member.get();
  members_.push_front(std::move(member));
  adopted->place_ = members_.begin();
  return adopted;
}

std::unique_ptr<Member> Pod::Release(Member* member) {
  std::unique_ptr<Member> released = std::move(*member->place_);
  members_.erase(member->place_);
  if (draining_ && members_.empty()) {
    for (auto& each : std::exchange(drained_, {})) each();
    worker_->PodEmpty(this);
  }
  return released;
}

}  // namespace nodeward::hbone
