// SPDX-License-Identifier: Apache-2.0
#include "hbone/pool.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "hbone/mesh_view.h"
#include "hbone/worker.h"
#include "io/socket.h"
#include "policy/network_policy.h"

namespace nodeward::hbone {
namespace {

constexpr uint16_t kHbonePort = policy::kTunnelPort;

}  // namespace

ClientTunnel::ClientTunnel(Worker* worker, Pod* pod, TunnelKey key,
                           std::shared_ptr<const tls::Context> context)
    : Member(worker, pod, Kind::kOutboundTunnel),
      key_(std::move(key)),
      context_(std::move(context)),
      idle_(worker->workshop().loop(), [this] { Retire(); }),
      expiry_(worker->workshop().loop(),
              [this](const std::string& why) {
                Abort(observe::Outcome::kCertificateEnd, why);
              }),
      cap_(Pool::kMaxStreams) {
  tunnel_ = std::make_unique<Tunnel>(&worker->workshop(), this,
                                     worker->TunnelOptions(), context_,
                                     std::vector<model::Identity>{key_.peer});
}

base::Status ClientTunnel::Connect() {
  NODEWARD_ASSIGN(base::Fd fd,
                  pod_->network().OpenOutgoing(key_.destination.family()));
  NODEWARD_TRY(io::StartConnect(fd.get(), {key_.destination, kHbonePort}));
  return tunnel_->Start(std::move(fd));
}

bool ClientTunnel::HasRoom() const {
  return !retired_ && !tunnel_->down() && streams_ + waiting_.size() < cap_;
}

void ClientTunnel::Take(TunnelSeeker* seeker) {
  if (tunnel_->up()) return seeker->OnTunnel(this);
  waiting_.push_back(seeker);
}

void ClientTunnel::Forsake(TunnelSeeker* seeker) {
  std::erase(waiting_, seeker);
}

void ClientTunnel::AddStream() {
  ++streams_;
  idle_.Cancel();
}

void ClientTunnel::StreamEnded() {
  --streams_;
  CloseWhenUnused();
}

void ClientTunnel::CloseWhenUnused() {
  if (streams_ > 0 || !waiting_.empty() || left()) return;
  if (retired_) {
    tunnel_->Close();
  } else if (tunnel_->up()) {
    idle_.Set(worker_->options().tunnel_idle);
  }
}

void ClientTunnel::Retire() {
  retired_ = true;
  CloseWhenUnused();
}

void ClientTunnel::Judge() {
  const auto owner = worker_->mesh()->FindOwner(key_.destination);
  if (owner == nullptr || owner->uid != key_.destination_uid ||
      owner->identity != key_.peer) {
    Retire();
  }
}

bool ClientTunnel::outdated() const {
  return worker_->contexts().Find(context_->credential().identity,
                                  tls::Role::kClient,
                                  tls::Context::Options::Alpn::kH2) != context_;
}

void ClientTunnel::OnTunnelUp() {
  was_up_ = true;
  CheckPeer();  // the bundle may have changed during the handshake
  if (left()) return;
  expiry_.Watch(*tunnel_->tls(), worker_->options().certificate_grace);
  const auto waiting = std::exchange(waiting_, {});
  for (TunnelSeeker* seeker : waiting) seeker->OnTunnel(this);
  CloseWhenUnused();
}

void ClientTunnel::OnTunnelSettings() {
  cap_ = std::min(Pool::kMaxStreams, tunnel_->http().max_streams());
}

std::string ClientTunnel::Describe(const base::Status& why) const {
  return base::StrCat("tunnel to ",
                      base::Endpoint{key_.destination, kHbonePort}.ToString(),
                      ": ", std::string(why.message()));
}

// Nobody answers where an agent should: who is known to keep it from that?
std::string ClientTunnel::DescribeUnreached(const base::Status& why) const {
  std::string cause;
  if (worker_->mesh() != nullptr && pod_->workload() != nullptr) {
    const auto owner = worker_->mesh()->FindOwner(key_.destination);
    if (owner != nullptr) {
      cause = policy::WhyTunnelIsBlocked(worker_->mesh()->snapshot(),
                                         *pod_->workload(), *owner,
                                         key_.destination);
    }
  }
  if (!cause.empty()) return base::StrCat(Describe(why), "; ", cause);
  return base::StrCat(Describe(why),
                      absl::IsDeadlineExceeded(why)
                          ? " (is TCP 15008 kept from the pod on the way?)"
                          : "");
}

void ClientTunnel::OnTunnelDown(const base::Status& why) {
  if (outcome_ == observe::Outcome::kTunnelLost) {
    if (!tunnel_->connected()) {
      outcome_ = why.code() == absl::StatusCode::kDeadlineExceeded
                     ? observe::Outcome::kUpstreamTimeout
                     : observe::Outcome::kUpstreamRefused;
    } else if (!was_up_) {
      outcome_ = observe::Outcome::kTlsFailure;
    }
  }
  idle_.Cancel();
  expiry_.Cancel();
  worker_->pool().Remove(this);
  const std::string detail =
      tunnel_->connected() ? Describe(why) : DescribeUnreached(why);
  const auto waiting = std::exchange(waiting_, {});
  Leave();
  for (TunnelSeeker* seeker : waiting) seeker->OnNoTunnel(outcome_, detail);
}

void ClientTunnel::Abort(observe::Outcome outcome, std::string detail) {
  if (left()) return;
  outcome_ = outcome;
  tunnel_->Abort(outcome, detail);
}

void ClientTunnel::CheckPeer() {
  if (left() || !tunnel_->up()) return;
  const base::Status trusted = worker_->contexts().CheckPeer(*tunnel_->tls());
  if (trusted.ok()) return;
  Abort(observe::Outcome::kTrustChanged, std::string(trusted.message()));
}

ClientTunnel* Pool::Seek(Pod* source, TunnelKey key,
                         std::shared_ptr<const tls::Context> context,
                         TunnelSeeker* seeker) {
  std::vector<ClientTunnel*>& tunnels = tunnels_[key];
  for (ClientTunnel* tunnel : tunnels) {
    if (!tunnel->HasRoom()) continue;
    const bool waits = !tunnel->tunnel().up();
    tunnel->Take(seeker);
    return waits ? tunnel : nullptr;
  }
  if (tunnels.size() >= kMaxTunnels) {
    seeker->OnNoTunnel(observe::Outcome::kLimit,
                       "too many tunnels to one destination");
    return nullptr;
  }
  auto made = std::make_unique<ClientTunnel>(worker_, source, std::move(key),
                                             std::move(context));
  auto* const tunnel =
      static_cast<ClientTunnel*>(source->Adopt(std::move(made)));
  tunnels.push_back(tunnel);
  tunnel->Take(seeker);
  const base::Status connecting = tunnel->Connect();
  if (!connecting.ok()) {
    tunnel->Fail(connecting);
    return nullptr;
  }
  // The last connections of a pod that leaves must not keep it for the idle
  // time.
  if (source->draining()) tunnel->Retire();
  return tunnel;
}

void Pool::Remove(ClientTunnel* tunnel) {
  const auto found = tunnels_.find(tunnel->key());
  if (found == tunnels_.end()) return;
  std::erase(found->second, tunnel);
  if (found->second.empty()) tunnels_.erase(found);
}

void Pool::Refresh() {
  std::vector<ClientTunnel*> outdated;
  for (const auto& [key, tunnels] : tunnels_) {
    for (ClientTunnel* tunnel : tunnels) {
      if (tunnel->outdated()) outdated.push_back(tunnel);
    }
  }
  for (ClientTunnel* tunnel : outdated) tunnel->Retire();
}

void Pool::Retire(const Pod* source) {
  std::vector<ClientTunnel*> leaving;
  for (const auto& [key, tunnels] : tunnels_) {
    if (key.source != source) continue;
    leaving.insert(leaving.end(), tunnels.begin(), tunnels.end());
  }
  for (ClientTunnel* tunnel : leaving) tunnel->Retire();
}

}  // namespace nodeward::hbone
