// SPDX-License-Identifier: Apache-2.0
#include "hbone/inbound_tunnel.h"

#include <utility>

#include "hbone/flow_record.h"
#include "hbone/inbound_stream.h"
#include "hbone/mesh_view.h"
#include "hbone/worker.h"
#include "io/socket.h"

namespace nodeward::hbone {
namespace {

using observe::Outcome;

// How long a peer waits for this pod's first certificate.
constexpr absl::Duration kCredentialWait = absl::Seconds(5);

}  // namespace

void InboundTunnel::Accept(Worker* worker, Pod* pod, base::Fd fd,
                           const base::Endpoint& peer) {
  auto made = std::make_unique<InboundTunnel>(worker, pod, std::move(fd), peer);
  static_cast<InboundTunnel*>(pod->Adopt(std::move(made)))->Begin();
}

InboundTunnel::InboundTunnel(Worker* worker, Pod* pod, base::Fd fd,
                             const base::Endpoint& peer)
    : Member(worker, pod, Kind::kInboundTunnel),
      peer_(peer),
      waiting_(std::move(fd)),
      timer_(worker->workshop().loop(), [this] { OnTimer(); }),
      expiry_(worker->workshop().loop(), [this](const std::string& why) {
        Abort(Outcome::kCertificateEnd, why);
      }) {}

void InboundTunnel::Begin() {
  const auto local = io::LocalEndpoint(waiting_.get());
  if (!local.ok()) {
    return Refuse(Outcome::kReset, std::string(local.status().message()));
  }
  local_ = *local;
  timer_.Set(kCredentialWait);
  Retry();
}

void InboundTunnel::Retry() {
  if (tunnel_ != nullptr) return MoveOn();
  if (left() || pod_->workload() == nullptr) return;
  auto context =
      worker_->contexts().Find(pod_->workload()->identity, tls::Role::kServer,
                               tls::Context::Options::Alpn::kH2);
  if (context == nullptr) return;
  timer_.Cancel();
  tunnel_ = std::make_unique<Tunnel>(
      &worker_->workshop(), this, worker_->TunnelOptions(), std::move(context),
      std::vector<model::Identity>{});
  // Without streams a silent client costs a socket and no PINGs: keep-alive
  // and the idle time find the dead ones.
  tunnel_->set_watched(false);
  const base::Status started = tunnel_->Start(std::move(waiting_));
  if (!started.ok()) {
    Refuse(Outcome::kLimit, std::string(started.message()));
  }
}

// Our certificate has been renewed: new streams are to come with it.
void InboundTunnel::MoveOn() {
  if (left() || !tunnel_->up() || pod_->workload() == nullptr) return;
  const auto context =
      worker_->contexts().Find(pod_->workload()->identity, tls::Role::kServer,
                               tls::Context::Options::Alpn::kH2);
  if (context != nullptr &&
      &context->credential() != &tunnel_->tls()->context().credential()) {
    tunnel_->Drain();
  }
}

void InboundTunnel::CheckPeer() {
  if (left() || tunnel_ == nullptr || !tunnel_->up()) return;
  const base::Status trusted = worker_->contexts().CheckPeer(*tunnel_->tls());
  if (trusted.ok()) return;
  Abort(Outcome::kTrustChanged, std::string(trusted.message()));
}

void InboundTunnel::OnTimer() {
  if (tunnel_ == nullptr) {
    return Refuse(
        Outcome::kNoCredential,
        pod_->workload() == nullptr
            ? "this pod is not known"
            : worker_->contexts().WhyNone(pod_->workload()->identity));
  }
  // Twice the time after which clients give unused tunnels up themselves.
  tunnel_->Close();
}

void InboundTunnel::OnTunnelUp() {
  was_up_ = true;
  CheckPeer();  // the bundle may have changed during the handshake
  if (left()) return;
  expiry_.Watch(*tunnel_->tls(), worker_->options().certificate_grace);
  timer_.Set(2 * worker_->options().tunnel_idle);
  if (draining_) tunnel_->Drain();
}

void InboundTunnel::OnTunnelRequest(int32_t stream, http::Request request) {
  InboundStream::Accept(worker_, pod_, this, stream, request);
}

void InboundTunnel::AddStream() {
  if (streams_++ == 0) {
    timer_.Cancel();
    tunnel_->set_watched(true);
  }
}

void InboundTunnel::StreamEnded() {
  if (--streams_ > 0 || tunnel_->down()) return;
  tunnel_->set_watched(false);
  timer_.Set(2 * worker_->options().tunnel_idle);
  if (draining_) tunnel_->Close();
}

void InboundTunnel::Drain() {
  draining_ = true;
  if (tunnel_ == nullptr) return Refuse(Outcome::kShutdown, "the pod leaves");
  if (streams_ == 0) {
    tunnel_->Close();
  } else {
    tunnel_->Drain();
  }
}

void InboundTunnel::OnTunnelDown(const base::Status& why) {
  if (!was_up_) {
    return Refuse(outcome_, std::string(why.message()));
  }
  timer_.Cancel();
  expiry_.Cancel();
  Leave();
}

void InboundTunnel::Abort(Outcome outcome, std::string detail) {
  if (left()) return;
  if (tunnel_ == nullptr) return Refuse(outcome, std::move(detail));
  outcome_ = outcome;
  tunnel_->Abort(outcome, detail);
}

// The client never got as far as a stream: this is the record of its attempt.
void InboundTunnel::Refuse(Outcome outcome, std::string detail) {
  if (left()) return;
  timer_.Cancel();
  FlowRecord record(worker_->flows(), worker_->NextFlowId(),
                    observe::Reporter::kDestination, worker_->now());
  observe::Flow& flow = record.flow();
  flow.source = peer_;
  flow.destination = flow.upstream = local_;
  flow.destination_workload = pod_->workload();
  if (worker_->mesh() != nullptr) {
    flow.source_workload = worker_->mesh()->FindOwner(peer_.address);
  }
  record.Close(outcome, std::move(detail), worker_->now());
  if (waiting_.valid()) io::ResetAndClose(std::move(waiting_));
  Leave();
}

}  // namespace nodeward::hbone
