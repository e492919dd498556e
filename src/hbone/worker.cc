// SPDX-License-Identifier: Apache-2.0
#include "hbone/worker.h"

#include <algorithm>
#include <random>
#include <utility>

#include "hbone/flow_record.h"
#include "hbone/inbound_plain.h"
#include "hbone/inbound_tunnel.h"
#include "hbone/outbound.h"
#include "io/socket.h"

namespace nodeward::hbone {
namespace {

// How many connections more than the least loaded worker one may have before
// it gives new ones away: handing over costs a wake-up.
constexpr int kImbalance = 4;

}  // namespace

base::StatusOr<std::unique_ptr<Worker>> Worker::Create(
    int index, const Options* options, const pki::CredentialStore* store,
    observe::FlowSink* flows) {
  NODEWARD_ASSIGN(auto loop, io::Loop::Create());
  return std::unique_ptr<Worker>(
      new Worker(index, options, store, flows, std::move(loop)));
}

Worker::Worker(int index, const Options* options,
               const pki::CredentialStore* store, observe::FlowSink* flows,
               std::unique_ptr<io::Loop> loop)
    : index_(index),
      options_(options),
      flows_(flows),
      loop_(std::move(loop)),
      workshop_(std::make_unique<Workshop>(loop_.get())),
      contexts_(store),
      pool_(std::make_unique<Pool>(this)),
      random_(std::random_device{}() | 1) {}

Worker::~Worker() { Stop(); }

void Worker::Start() {
  thread_ = std::thread([this] { loop_->Run(); });
}

void Worker::Stop() {
  if (!thread_.joinable()) return;
  Post([this] {
    ForEachPod([](Pod& pod) {
      pod.StopListening();
      pod.AbortAll(observe::Outcome::kShutdown, "the agent stops");
    });
    // What has left is destroyed at the end of this round, before Run returns.
    loop_->Defer([this] { pods_.clear(); });
    loop_->Stop();
  });
  thread_.join();
}

void Worker::ForEachPod(const std::function<void(Pod&)>& visit) {
  // A pod that empties while draining leaves pods_, but lives until the end of
  // the round.
  std::vector<Pod*> pods;
  pods.reserve(pods_.size());
  for (const auto& pod : pods_) pods.push_back(pod.get());
  for (Pod* pod : pods) visit(*pod);
}

void Worker::SetMesh(std::shared_ptr<const MeshView> mesh) {
  mesh_ = std::move(mesh);
  ForEachPod([this](Pod& pod) {
    pod.Refresh(*mesh_);
    pod.ForEach([](Member& member) { member.Judge(); });
  });
}

void Worker::CredentialsChanged() {
  const bool trust_lost = contexts_.Refresh();
  pool_->Refresh();
  ForEachPod([trust_lost](Pod& pod) {
    pod.ForEach([trust_lost](Member& member) {
      if (trust_lost) member.CheckPeer();
      if (!member.left()) member.Retry();
    });
  });
}

void Worker::AddPod(std::shared_ptr<SharedPod> shared,
                    std::shared_ptr<PodListeners> listeners) {
  auto pod =
      std::make_unique<Pod>(this, std::move(shared), std::move(listeners));
  if (mesh_ != nullptr) pod->Refresh(*mesh_);
  pods_.push_back(std::move(pod));
}

void Worker::Listen(const SharedPod* shared) {
  for (const auto& pod : pods_) {
    if (&pod->shared() == shared && !pod->draining()) pod->Listen();
  }
}

void Worker::StopListening() {
  ForEachPod([](Pod& pod) { pod.StopListening(); });
}

void Worker::DrainPod(const std::string& uid, std::function<void()> drained) {
  DrainWhere([&](const Pod& pod) { return pod.uid() == uid; },
             std::move(drained));
}

void Worker::Drain(std::function<void()> drained) {
  DrainWhere([](const Pod&) { return true; }, std::move(drained));
}

void Worker::DrainWhere(const std::function<bool(const Pod&)>& chosen,
                        std::function<void()> drained) {
  // Held by every pod that is not empty yet.
  auto last = std::shared_ptr<void>(
      nullptr, [drained = std::move(drained)](void*) { drained(); });
  ForEachPod([&](Pod& pod) {
    if (!chosen(pod)) return;
    pool_->Retire(&pod);
    pod.Drain([part = last]() mutable { part.reset(); });
    if (pod.empty()) PodEmpty(&pod);
  });
}

void Worker::KillPod(const std::string& uid) {
  ForEachPod([&](Pod& pod) {
    if (pod.uid() != uid) return;
    pod.StopListening();
    pod.AbortAll(observe::Outcome::kPodGone, "the pod was removed");
    PodEmpty(&pod);
  });
}

void Worker::After(absl::Duration delay, std::function<void()> work) {
  timers_.push_back(std::make_unique<io::Timer>(*loop_, std::move(work)));
  timers_.back()->Set(delay);
}

void Worker::PodEmpty(Pod* pod) {
  const auto place = std::find_if(
      pods_.begin(), pods_.end(),
      [pod](const std::unique_ptr<Pod>& each) { return each.get() == pod; });
  if (place == pods_.end()) return;
  workshop_->Retire(std::move(*place));
  pods_.erase(place);
}

void Worker::Accepted(Pod* pod, Listener::Kind kind, base::Fd fd,
                      const base::Endpoint& peer) {
  Worker* const least = LeastLoaded();
  if (least == this) return Serve(pod, kind, std::move(fd), peer);
  // std::function wants what can be copied.
  auto given = std::make_shared<base::Fd>(std::move(fd));
  least->Post([least, shared = pod->shared_pod(), kind, given, peer] {
    for (const auto& each : least->pods_) {
      if (each->shared_pod() == shared) {
        return least->Serve(each.get(), kind, std::move(*given), peer);
      }
    }
    io::ResetAndClose(std::move(*given));  // killed meanwhile
  });
}

void Worker::Serve(Pod* pod, Listener::Kind kind, base::Fd fd,
                   const base::Endpoint& peer) {
  if (kind == Listener::Kind::kOutbound) {
    return Outbound::Accept(this, pod, std::move(fd), peer);
  }
  if (pod->shared().inbound.load(std::memory_order_relaxed) >=
      options_->max_connections_per_pod) {
    FlowRecord refused(flows_, NextFlowId(), observe::Reporter::kDestination,
                       now());
    refused.flow().source = peer;
    refused.flow().destination_workload = pod->workload();
    refused.Close(observe::Outcome::kLimit,
                  "the pod has too many open inbound connections", now());
    return io::ResetAndClose(std::move(fd));
  }
  if (kind == Listener::Kind::kInboundPlain) {
    InboundPlain::Accept(this, pod, std::move(fd), peer);
  } else {
    InboundTunnel::Accept(this, pod, std::move(fd), peer);
  }
}

Worker* Worker::LeastLoaded() {
  Worker* least = this;
  int lowest = connections() - kImbalance;
  for (Worker* peer : peers_) {
    if (peer->connections() < lowest) {
      least = peer;
      lowest = peer->connections();
    }
  }
  return least;
}

void Worker::Count(const Member& member, int change) {
  (member.is_tunnel() ? tunnels_ : connections_)
      .fetch_add(change, std::memory_order_relaxed);
}

Tunnel::Options Worker::TunnelOptions() const {
  return {options_->connect_timeout, options_->handshake_timeout,
          options_->ping_interval, options_->ping_timeout,
          options_->stream_window};
}

uint64_t Worker::NextFlowId() {
  return (static_cast<uint64_t>(index_ + 1) << 48) | ++next_flow_;
}

uint64_t Worker::Random() {
  // xorshift64: which endpoint serves is no secret.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

bool Worker::InMeshCidrs(const base::IpAddress& address) const {
  return std::any_of(
      options_->mesh_cidrs.begin(), options_->mesh_cidrs.end(),
      [&](const base::Cidr& cidr) { return cidr.Contains(address); });
}

}  // namespace nodeward::hbone
