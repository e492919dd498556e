// SPDX-License-Identifier: Apache-2.0
#include "hbone/outbound.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "hbone/baggage.h"
#include "hbone/mesh_view.h"
#include "hbone/refusal.h"
#include "hbone/worker.h"
#include "io/socket.h"

namespace nodeward::hbone {
namespace {

using observe::Outcome;
using observe::Security;

// How long a connection waits for its pod's first certificate.
constexpr absl::Duration kCredentialWait = absl::Seconds(5);
// What an agent answers whose application refuses the connection.
constexpr int kUnavailable = 503;
// How many endpoints of a service are asked for one connection.
constexpr size_t kMaxEndpoints = 8;

}  // namespace

void Outbound::Accept(Worker* worker, Pod* pod, base::Fd fd,
                      const base::Endpoint& peer) {
  auto made = std::make_unique<Outbound>(worker, pod, peer);
  auto* const outbound = static_cast<Outbound*>(pod->Adopt(std::move(made)));
  outbound->Start(std::move(fd));
}

Outbound::Outbound(Worker* worker, Pod* pod, const base::Endpoint& peer)
    : Member(worker, pod, Kind::kOutbound),
      record_(worker->flows(), worker->NextFlowId(), observe::Reporter::kSource,
              worker->now()),
      application_(&worker->workshop(), this),
      pick_(worker->Random()),
      deadline_(worker->workshop().loop(), [this] { OnDeadline(); }) {
  record_.flow().source = peer;
  record_.flow().source_workload = pod->workload();
}

Outbound::~Outbound() = default;

void Outbound::Start(base::Fd fd) {
  const auto local = io::LocalEndpoint(fd.get());
  std::optional<base::Endpoint> destination;
  if (local.ok()) {
    destination =
        pod_->network().TakeOriginalDestination(record_.flow().source, *local);
  }
  const base::Status opened = application_.Open(std::move(fd), false);
  if (!opened.ok()) {
    return Finish(Outcome::kLimit, std::string(opened.message()), true);
  }
  if (!destination.has_value()) {
    return Finish(Outcome::kNoOriginalDestination, "not a captured connection",
                  true);
  }
  destination_ = *destination;
  record_.flow().destination = destination_;
  Decide();
}

void Outbound::Decide() {
  if (worker_->mesh() == nullptr || pod_->workload() == nullptr) {
    return Wait(worker_->options().hold, Outcome::kNoRoute,
                "the pod itself is not known yet");
  }
  route_ = policy::RouteTo(
      worker_->mesh()->snapshot(), pod_->workload().get(), destination_,
      worker_->InMeshCidrs(destination_.address), pick_, tried_);
  if (route_.kind == policy::Route::Kind::kPlaintext &&
      route_.service != nullptr && route_.workload == nullptr) {
    // An EndpointSlice may name a pod of the mesh before the pod is known.
    auto service = std::move(route_.service);
    route_ = RouteAgain();
    route_.service = std::move(service);
  }
  Proceed();
}

void Outbound::Proceed() {
  observe::Flow& flow = record_.flow();
  flow.source_workload = pod_->workload();
  flow.upstream = route_.address;
  flow.destination_workload = route_.workload;
  flow.service = route_.service;
  if (route_.rule != nullptr) flow.policy = route_.rule->QualifiedName();
  switch (route_.kind) {
    case policy::Route::Kind::kRefuse:
      return Finish(Outcome::kNoRoute, route_.reason, true);
    case policy::Route::Kind::kHold:
      return Wait(worker_->options().hold, Outcome::kNoRoute, route_.reason);
    case policy::Route::Kind::kPlaintext:
    case policy::Route::Kind::kOriginate:
      return Dial();
    case policy::Route::Kind::kTunnel:
      return SeekTunnel();
  }
}

policy::Route Outbound::RouteAgain() const {
  return policy::RouteAgain(worker_->mesh()->snapshot(), pod_->workload().get(),
                            destination_, route_.address,
                            worker_->InMeshCidrs(route_.address.address));
}

void Outbound::Wait(absl::Duration limit, Outcome outcome,
                    std::string missing) {
  const absl::Duration left = record_.began() + limit - worker_->now();
  if (left <= absl::ZeroDuration()) {
    return Finish(outcome, std::move(missing), true);
  }
  state_ = State::kWaiting;
  deadline_outcome_ = outcome;
  deadline_detail_ = std::move(missing);
  deadline_.Set(left);
}

void Outbound::SeekTunnel() {
  auto context =
      worker_->contexts().Find(pod_->workload()->identity, tls::Role::kClient,
                               tls::Context::Options::Alpn::kH2);
  if (context == nullptr) {
    return Wait(kCredentialWait, Outcome::kNoCredential,
                worker_->contexts().WhyNone(pod_->workload()->identity));
  }
  state_ = State::kSeeking;
  deadline_.Cancel();  // the tunnel has its own
  TunnelKey key;
  key.source = pod_;
  key.context = context.get();
  key.destination = route_.address.address;
  key.peer = route_.workload->identity;
  key.destination_uid = route_.workload->uid;
  // It may call back at once, and this begin to seek another.
  const int mine = ++seeking_;
  ClientTunnel* const waits_for =
      worker_->pool().Seek(pod_, std::move(key), std::move(context), this);
  if (state_ == State::kSeeking && mine == seeking_) sought_ = waits_for;
}

bool Outbound::TryAnother() {
  if (worker_->mesh() == nullptr || pod_->workload() == nullptr) return false;
  tried_.push_back(route_.address);
  if (tried_.size() >= kMaxEndpoints) return false;
  policy::Route next = policy::RouteTo(
      worker_->mesh()->snapshot(), pod_->workload().get(), destination_,
      worker_->InMeshCidrs(destination_.address), pick_, tried_);
  if (next.kind == policy::Route::Kind::kRefuse ||
      std::find(tried_.begin(), tried_.end(), next.address) != tried_.end()) {
    return false;
  }
  LeaveTunnel();
  deadline_.Cancel();
  tls_ = nullptr;
  if (upstream_ != nullptr) {
    upstream_->Close();
    closed_.push_back(std::move(upstream_));
  }
  Decide();
  return true;
}

void Outbound::OnTunnel(ClientTunnel* tunnel) {
  sought_ = nullptr;
  Tunnel& carrier = tunnel->tunnel();
  if (!stream_.has_value()) {
    stream_.emplace(&worker_->workshop(), &application_, this);
  }
  const std::string authority = route_.address.ToString();
  const auto headers = SourceHeaders(record_.flow().source, *pod_->workload());
  const auto stream = carrier.http().Connect(authority, headers, &*stream_);
  if (!stream.ok()) {
    // It takes no stream any more and does not know it yet.
    tunnel->Retire();
    if (!std::exchange(retried_, true)) return SeekTunnel();
    return Finish(Outcome::kTunnelLost, tunnel->Describe(stream.status()),
                  true);
  }
  stream_->Attach(&carrier, *stream);
  carrier.ScheduleFlush();
  tunnel_ = tunnel;
  tunnel->AddStream();
  state_ = State::kAsking;
  // The peer's agent has connect_timeout for its own dial.
  deadline_.Set(2 * worker_->options().connect_timeout);
  deadline_outcome_ = Outcome::kUpstreamTimeout;
  deadline_detail_ = "no answer to CONNECT";
}

void Outbound::OnNoTunnel(Outcome outcome, std::string detail) {
  sought_ = nullptr;
  if (outcome == Outcome::kUpstreamRefused && TryAnother()) return;
  Finish(outcome, std::move(detail), true);
}

void Outbound::OnStreamResponse(int status) {
  if (status != 200) {
    if (status == kUnavailable && TryAnother()) return;
    return Finish(Outcome::kTunnelRefused,
                  base::StrCat("the peer answered CONNECT ",
                               route_.address.ToString(), " with ", status),
                  true);
  }
  deadline_.Cancel();
  state_ = State::kRelaying;
  observe::Flow& flow = record_.flow();
  flow.security = Security::kMutualTls;
  flow.source_identity = pod_->identity();
  flow.destination_identity = tunnel_->tunnel().peer();
  record_.Open();
  tap_ = TapPoint::Begin(*worker_, flow);
  stream_->Show(tap_.get(), StreamRelay::Client::kApplication);
  stream_->Open();
}

std::unique_ptr<Channel> Outbound::MakeUpstream() {
  tls_ = nullptr;
  if (route_.kind == policy::Route::Kind::kPlaintext) {
    record_.flow().security = Security::kPlaintext;
    return std::make_unique<TcpChannel>(&worker_->workshop(), this);
  }
  record_.flow().security = Security::kOriginatedTls;
  const model::ClientTls& tls = *route_.tls;
  const auto* entry = worker_->mesh()->FindMaterial(*pod_->workload(), tls);
  std::string why = "its files have not been read yet";
  if (entry != nullptr) why = entry->error;
  std::shared_ptr<const tls::Context> context;
  if (entry != nullptr && entry->material != nullptr) {
    const auto* port = route_.service->FindPort(destination_.port);
    const bool h2 =
        port != nullptr && (port->protocol == model::Protocol::kHttp2 ||
                            port->protocol == model::Protocol::kGrpc);
    why = "no TLS context could be made";
    context = worker_->contexts().FindOriginating(
        entry->material, {{.sni = route_.server_name,
                           .names = tls.subject_alt_names.empty()
                                        ? route_.service->subject_alt_names
                                        : tls.subject_alt_names,
                           .anybody = tls.insecure_skip_verify},
                          h2});
  }
  if (context == nullptr) {
    Finish(Outcome::kNoCredential,
           base::StrCat("DestinationRule ", route_.rule->QualifiedName(), ": ",
                        why),
           true);
    return nullptr;
  }
  auto channel = std::make_unique<TlsChannel>(&worker_->workshop(), this,
                                              std::move(context),
                                              std::vector<model::Identity>());
  tls_ = channel.get();
  return channel;
}

void Outbound::Dial() {
  state_ = State::kDialing;
  upstream_ = MakeUpstream();
  if (upstream_ == nullptr) return;
  auto fd = pod_->network().OpenOutgoing(route_.address.address.family());
  base::Status status = fd.status();
  if (status.ok()) status = io::StartConnect(fd->get(), route_.address);
  if (status.ok()) {
    TuneForNetwork(fd->get());
    status = upstream_->Open(*std::move(fd), true);
  }
  if (!status.ok()) {
    if (TryAnother()) return;
    return Finish(Outcome::kUpstreamRefused, std::string(status.message()),
                  true);
  }
  deadline_.Set(worker_->options().connect_timeout);
  deadline_outcome_ = Outcome::kUpstreamTimeout;
  deadline_detail_ =
      base::StrCat("connect to ", route_.address.ToString(), ": no answer");
}

void Outbound::OnChannel() {
  if (state_ == State::kOver) return;
  if (application_.failing() || application_.broken()) {
    return Finish(Outcome::kReset, "the client went away", true);
  }
  if (state_ != State::kDialing || upstream_->connecting()) return;
  if (tls_ != nullptr && !upstream_->broken()) {
    if (!ShakeHands()) return;
  } else if (upstream_->broken()) {
    return OnUpstreamBroken();
  }
  deadline_.Cancel();
  state_ = State::kRelaying;
  record_.Open();
  tap_ = TapPoint::Begin(*worker_, record_.flow());
  relay_ = std::make_unique<Relay>(&worker_->workshop(), &application_,
                                   upstream_.get(), this, tap_.get());
  relay_->Start();
}

bool Outbound::ShakeHands() {
  if (tls_->session() == nullptr) {
    deadline_.Set(worker_->options().handshake_timeout);
    deadline_detail_ = base::StrCat("TLS handshake with ",
                                    route_.address.ToString(), ": no answer");
  }
  switch (tls_->Handshake()) {
    case TlsChannel::Progress::kDone:
      return true;
    case TlsChannel::Progress::kWaiting:
      return false;
    case TlsChannel::Progress::kFailed:
      break;
  }
  OnTlsFailure(upstream_->error());
  return false;
}

void Outbound::OnTlsFailure(const base::Status& why) {
  Finish(Outcome::kTlsFailure,
         base::StrCat(route_.address.ToString(), ", DestinationRule ",
                      route_.rule->QualifiedName(), ": ",
                      base::FromAbsl(why.message())),
         true);
}

void Outbound::OnUpstreamBroken() {
  const bool late =
      upstream_->error().code() == absl::StatusCode::kDeadlineExceeded;
  if (!late && TryAnother()) return;
  Finish(late ? Outcome::kUpstreamTimeout : Outcome::kUpstreamRefused,
         std::string(upstream_->error().message()), true);
}

void Outbound::OnRelayEnd(RelayEnd end) {
  if (state_ == State::kOver) return;
  switch (end) {
    case RelayEnd::kClosed:
      return Finish(Outcome::kClosed, "", false);
    case RelayEnd::kRefused:
      return OnRefusedStream();
    case RelayEnd::kReset:
      break;
  }
  // A server tells what it thinks of a client's certificate when the client
  // takes the handshake for done.
  if (tls_ != nullptr && relay_->bytes_received() == 0 &&
      !tls_->session()->error().ok()) {
    return OnTlsFailure(tls_->session()->error());
  }
  if (stream_.has_value() && stream_->reset_by_stream() &&
      tunnel_->tunnel().down()) {
    return Finish(tunnel_->tunnel().loss(),
                  tunnel_->Describe(tunnel_->tunnel().why()), true);
  }
  Finish(Outcome::kReset, "", true);
}

// The stream was closed before it was answered. When the peer has certainly
// not acted on it, or the tunnel under it broke (no byte of the application was
// sent), it is tried once more on another.
void Outbound::OnRefusedStream() {
  ClientTunnel* const tunnel = std::exchange(tunnel_, nullptr);
  tunnel->StreamEnded();
  const bool lost = tunnel->tunnel().down();
  const base::Status& why = tunnel->tunnel().why();
  if (lost && why.code() == absl::StatusCode::kPermissionDenied) {
    return Finish(Outcome::kTlsFailure, tunnel->Describe(why), true);
  }
  const bool again =
      lost || stream_->close_code() == http::error_code::kRefusedStream;
  if (again && !std::exchange(retried_, true)) return SeekTunnel();
  if (lost) {
    return Finish(tunnel->tunnel().loss(), tunnel->Describe(why), true);
  }
  Finish(Outcome::kTunnelRefused,
         base::StrCat("the peer reset the stream (code ", stream_->close_code(),
                      ")"),
         true);
}

void Outbound::OnDeadline() {
  Finish(deadline_outcome_, deadline_detail_, true);
}

void Outbound::Retry() {
  if (state_ == State::kWaiting) Decide();
}

void Outbound::Judge() {
  switch (state_) {
    case State::kWaiting:
      return Decide();
    case State::kSeeking:
    case State::kAsking:
    case State::kDialing:
    case State::kRelaying:
      return route_.kind == policy::Route::Kind::kTunnel ? JudgeTunnel()
                                                         : JudgeDirect();
    case State::kOver:
      return;
  }
}

void Outbound::JudgeTunnel() {
  const model::Workload& chosen = *route_.workload;
  const auto& snapshot = worker_->mesh()->snapshot();
  const base::IpAddress& address = route_.address.address;
  const auto owner = worker_->mesh()->FindOwner(address);
  if (owner != nullptr && owner->uid == chosen.uid &&
      owner->identity == chosen.identity) {
    return;
  }
  // A pod that is ending serves what it has begun.
  const auto departed = snapshot.departed_by_ip.find(address);
  if (departed != snapshot.departed_by_ip.end() &&
      departed->second->uid == chosen.uid) {
    return;
  }
  Finish(Outcome::kPolicyChanged, "the destination pod is no more", true);
}

void Outbound::JudgeDirect() {
  const policy::Route now = RouteAgain();
  const bool originates = route_.kind == policy::Route::Kind::kOriginate;
  switch (now.kind) {
    case policy::Route::Kind::kTunnel:
      return Finish(Outcome::kPolicyChanged,
                    now.rule != nullptr ? "a DestinationRule wants mutual TLS"
                                        : "the destination has joined the mesh",
                    true);
    case policy::Route::Kind::kOriginate:
      if (originates && *now.tls == *route_.tls &&
          now.server_name == route_.server_name) {
        route_ = now;  // the old rule's memory
        return;
      }
      return Finish(Outcome::kPolicyChanged,
                    base::StrCat("DestinationRule ", now.rule->QualifiedName(),
                                 " wants another TLS"),
                    true);
    case policy::Route::Kind::kRefuse:
      // A pod that is ending serves what it has begun; a rule forbids.
      if (!now.forbidden || (originates && now.rule != nullptr)) return;
      return Finish(Outcome::kPolicyChanged, now.reason, true);
    case policy::Route::Kind::kPlaintext:
    case policy::Route::Kind::kHold:
      return;
  }
}

void Outbound::Abort(Outcome outcome, std::string detail) {
  application_.Reset();
  Finish(outcome, std::move(detail), true);
}

void Outbound::LeaveTunnel() {
  if (sought_ != nullptr) std::exchange(sought_, nullptr)->Forsake(this);
  if (stream_.has_value()) {
    // ztunnel takes CANCEL for an orderly end.
    stream_->Detach(state_ == State::kAsking ? http::error_code::kCancel
                                             : http::error_code::kConnectError);
  }
  if (tunnel_ != nullptr) std::exchange(tunnel_, nullptr)->StreamEnded();
}

void Outbound::Finish(Outcome outcome, std::string detail, bool reset) {
  if (state_ == State::kOver) return;
  LeaveTunnel();
  state_ = State::kOver;
  deadline_.Cancel();
  observe::Flow& flow = record_.flow();
  if (stream_.has_value()) {
    flow.bytes_sent = stream_->from_application();
    flow.bytes_received = stream_->from_stream();
  } else if (relay_ != nullptr) {
    flow.bytes_sent = relay_->bytes_sent();
    flow.bytes_received = relay_->bytes_received();
  }
  if (reset) {
    if (!application_.closed() && !record_.opened()) {
      Refusal::Begin(worker_, pod_, Kind::kOutbound, application_.Release(),
                     worker_->now() - record_.began(), nullptr);
    }
    application_.Reset();
    if (upstream_ != nullptr) upstream_->Reset();
  } else {
    application_.Close();
    if (upstream_ != nullptr) upstream_->Close();
  }
  record_.Close(outcome, std::move(detail), worker_->now());
  if (tap_ != nullptr) tap_->End(flow);
  Leave();
}

}  // namespace nodeward::hbone
