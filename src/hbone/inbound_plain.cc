// SPDX-License-Identifier: Apache-2.0
#include "hbone/inbound_plain.h"

#include <utility>
#include <vector>

#include "base/text.h"
#include "hbone/mesh_view.h"
#include "hbone/refusal.h"
#include "hbone/worker.h"
#include "io/socket.h"
#include "policy/verdict.h"
#include "tls/client_hello.h"

namespace nodeward::hbone {
namespace {

using observe::Outcome;
using observe::Security;

// A ClientHello with the headers of the records it comes in.
constexpr size_t kPeekBytes = tls::kMaxClientHello + 1024;

bool IsReserved(uint16_t port) {
  return port == 15001 || port == 15006 || port == 15008;
}

}  // namespace

void InboundPlain::Accept(Worker* worker, Pod* pod, base::Fd fd,
                          const base::Endpoint& peer) {
  auto made = std::make_unique<InboundPlain>(worker, pod, peer);
  static_cast<InboundPlain*>(pod->Adopt(std::move(made)))->Start(std::move(fd));
}

InboundPlain::InboundPlain(Worker* worker, Pod* pod, const base::Endpoint& peer)
    : Member(worker, pod, Kind::kInbound),
      record_(worker->flows(), worker->NextFlowId(),
              observe::Reporter::kDestination, worker->now()),
      source_(peer.address),
      client_(std::make_unique<TcpChannel>(&worker->workshop(), this)),
      timer_(worker->workshop().loop(), [this] { OnTimer(); }),
      dial_deadline_(worker->workshop().loop(),
                     [this] {
                       Finish(Outcome::kUpstreamTimeout,
                              "the application: no answer", true);
                     }),
      expiry_(worker->workshop().loop(), [this](const std::string& why) {
        Finish(Outcome::kCertificateEnd, why, true);
      }) {
  observe::Flow& flow = record_.flow();
  flow.source = peer;
  flow.destination_workload = pod->workload();
}

void InboundPlain::Start(base::Fd fd) {
  const auto local = io::LocalEndpoint(fd.get());
  const base::Status opened =
      local.ok() ? client_->Open(std::move(fd), false) : local.status();
  if (!opened.ok()) {
    return Finish(Outcome::kLimit, std::string(opened.message()), true);
  }
  local_ = *local;
  captured_ = true;
  observe::Flow& flow = record_.flow();
  pod_->network().Captured(flow.source);
  flow.destination = flow.upstream = local_;
  if (IsReserved(local_.port)) {
    return Finish(Outcome::kReservedPort,
                  base::StrCat("port ", local_.port, " is the mesh's own"),
                  true);
  }
  if (pod_->workload() == nullptr || worker_->mesh() == nullptr) {
    return Finish(Outcome::kNoRoute, "this pod is not known", true);
  }
  flow.source_workload = worker_->mesh()->FindOwner(flow.source.address);
  flow.service = worker_->mesh()->FindServing(*pod_->workload(), local_.port);
  speaks_http_ = SpeaksHttp(*worker_, *pod_, local_.port);
  Consider();
}

bool InboundPlain::AdmitsPlaintext() {
  if (pod_->workload() == nullptr) return false;
  const policy::Verdict verdict = Decide(std::nullopt);
  mode_ = verdict.mtls;
  plaintext_ = verdict.allow;
  record_.flow().policy = verdict.deciding_policy();
  return plaintext_;
}

policy::Verdict InboundPlain::Decide(
    std::optional<model::Identity> peer) const {
  return pod_->policy().Decide({.source = source_,
                                .peer = std::move(peer),
                                .port = local_.port,
                                .destination = local_.address,
                                .sni = sni_,
                                .http_to_come = speaks_http_});
}

void InboundPlain::Consider() {
  if (!AdmitsPlaintext()) {
    DropApplication();
    timer_.Set(worker_->options().silent_deadline);
    return;
  }
  if (mode_ == model::MtlsMode::kDisable) return Pass(Security::kPlaintext);
  const auto traits =
      worker_->mesh()->snapshot().TraitsOf(*pod_->workload(), local_.port);
  sniff_over_ = traits.no_sniff_wait;
  timer_.Set(sniff_over_ ? worker_->options().silent_deadline
                         : worker_->options().sniff_wait);
  Dial();
}

void InboundPlain::OnTimer() {
  switch (state_) {
    case State::kSniffing:
      break;
    case State::kHandshaking:
      return Finish(Outcome::kTlsFailure, "TLS handshake: no end in time",
                    true);
    default:
      return;
  }
  if (plaintext_ && !sniff_over_) {
    sniff_over_ = true;
    timer_.Set(worker_->options().silent_deadline);
    return Sniff();
  }
  const io::Transfer seen =
      io::Peek(client_->fd(), worker_->workshop().plain_room().first(1));
  if (plaintext_) {
    // Half a ClientHello is not one of the mesh; silence goes on for as long
    // as both sides like.
    if (seen.progress == io::Progress::kBytes) Pass(Security::kPlaintext);
    return;
  }
  if (seen.progress == io::Progress::kBytes) return DenyPlaintext();
  Finish(Outcome::kSilent, "no first byte in time", true);
}

void InboundPlain::Sniff() {
  const base::MutableByteSpan room =
      worker_->workshop().plain_room().first(kPeekBytes);
  const bool server_first =
      plaintext_ && sniff_over_ && !speaks_http_ && application_ != nullptr &&
      !application_->connecting() && application_->readable();
  const io::Transfer seen = io::Peek(client_->fd(), room);
  switch (seen.progress) {
    case io::Progress::kReset:
      return Finish(Outcome::kReset, "the client went away", true);
    case io::Progress::kEnd:
      if (plaintext_) return Pass(Security::kPlaintext);
      return Finish(Outcome::kSilent, "the client ended without a byte", true);
    case io::Progress::kWouldBlock:
      return server_first ? Pass(Security::kPlaintext) : void();
    case io::Progress::kBytes:
      break;
  }
  const tls::Sniffed sniffed = tls::SniffClientHello(room.first(seen.count));
  switch (sniffed.kind) {
    case tls::Sniffed::Kind::kNeedMore:
      if (server_first) return Pass(Security::kPlaintext);
      // Not for ever: the beginning of a ClientHello may be anything.
      if (!timer_.pending()) timer_.Set(worker_->options().silent_deadline);
      return;
    case tls::Sniffed::Kind::kNotTls:
      return plaintext_ ? Pass(Security::kPlaintext) : DenyPlaintext();
    case tls::Sniffed::Kind::kTls:
      return DealWithHello(sniffed);
  }
}

void InboundPlain::DealWithHello(const tls::Sniffed& hello) {
  sni_ = hello.server_name;
  if (hello.is_mesh() && mode_ != model::MtlsMode::kDisable) {
    return Terminate();
  }
  // The name that it asks for may have been what was missing, or too much.
  if (pod_->workload() != nullptr && pod_->policy().WantsSni()) {
    AdmitsPlaintext();
  }
  return plaintext_ ? Pass(Security::kPassthroughTls) : DenyPlaintext();
}

void InboundPlain::DenyPlaintext() {
  policy::Verdict verdict;
  verdict.layer = policy::Verdict::Layer::kAuthn;
  if (pod_->workload() != nullptr) verdict = Decide(std::nullopt);
  const bool authz = verdict.layer == policy::Verdict::Layer::kAuthz;
  Finish(authz ? Outcome::kDeniedPolicy : Outcome::kDeniedPlaintext,
         verdict.reason, true);
}

void InboundPlain::Pass(Security security) {
  record_.flow().security = security;
  if (speaks_http_ && security == Security::kPassthroughTls) {
    return Finish(Outcome::kBadRequest, "TLS on a port that speaks HTTP", true);
  }
  state_ = State::kDialing;
  timer_.Cancel();
  if (application_ == nullptr) return Dial();
  CheckDial();
}

void InboundPlain::Terminate() {
  if (pod_->workload() == nullptr) {
    return Finish(Outcome::kNoRoute, "this pod is not known any more", true);
  }
  auto context =
      worker_->contexts().Find(pod_->workload()->identity, tls::Role::kServer,
                               tls::Context::Options::Alpn::kIstio);
  if (context == nullptr) {
    return Finish(Outcome::kNoCredential,
                  worker_->contexts().WhyNone(pod_->workload()->identity),
                  true);
  }
  state_ = State::kHandshaking;
  record_.flow().security = Security::kMutualTls;
  timer_.Set(worker_->options().handshake_timeout);
  base::Fd fd = client_->Release();
  auto tls = std::make_unique<TlsChannel>(&worker_->workshop(), this,
                                          std::move(context),
                                          std::vector<model::Identity>{});
  tls_ = tls.get();
  // Its first edge brings the bytes that were only looked at.
  const base::Status opened = tls_->Open(std::move(fd), false);
  sniffed_ = std::exchange(client_, std::move(tls));
  if (!opened.ok()) {
    Finish(Outcome::kLimit, std::string(opened.message()), true);
  }
}

void InboundPlain::Handshake() {
  switch (tls_->Handshake()) {
    case TlsChannel::Progress::kWaiting:
      return;
    case TlsChannel::Progress::kFailed:
      // An ordinary close lets the alert arrive.
      return Finish(Outcome::kTlsFailure, std::string(tls_->error().message()),
                    false);
    case TlsChannel::Progress::kDone:
      break;
  }
  timer_.Cancel();
  if (pod_->workload() == nullptr) {
    return Finish(Outcome::kNoRoute, "this pod is not known any more", true);
  }
  CheckPeer();  // the bundle may have changed during the handshake
  if (state_ == State::kOver) return;
  expiry_.Watch(*tls_->session(), worker_->options().certificate_grace);
  identity_ = tls_->session()->peer();
  observe::Flow& flow = record_.flow();
  flow.source_identity = std::make_shared<const model::Identity>(*identity_);
  flow.destination_identity = pod_->identity();
  const policy::Verdict verdict = Decide(identity_);
  flow.policy = verdict.deciding_policy();
  if (!verdict.allow) {
    return Finish(Outcome::kDeniedPolicy, verdict.reason, true);
  }
  state_ = State::kDialing;
  if (application_ == nullptr) return Dial();
  CheckDial();
}

void InboundPlain::Dial() {
  if (application_ != nullptr) return;
  const auto dial = [this] {
    return pod_->network().ConnectOnward(record_.flow().source.address, local_);
  };
  if (speaks_http_) {
    auto made = std::make_unique<HttpChannel>(
        &worker_->workshop(), this, worker_, pod_, &record_.flow(), dial);
    http_ = made.get();
    application_ = std::move(made);
    // It must see nothing of what policy may deny yet.
    if (pod_->workload() == nullptr || pod_->policy().WantsHttp(local_.port)) {
      return CheckDial();
    }
  } else {
    application_ = std::make_unique<TcpChannel>(&worker_->workshop(), this);
  }
  auto fd = dial();
  base::Status status = fd.status();
  if (status.ok()) status = application_->Open(*std::move(fd), true);
  if (!status.ok()) {
    return Finish(Outcome::kUpstreamRefused, std::string(status.message()),
                  true);
  }
  dial_deadline_.Set(worker_->options().connect_timeout);
}

void InboundPlain::DropApplication() {
  http_ = nullptr;
  application_.reset();
  dial_deadline_.Cancel();
}

void InboundPlain::CheckDial() {
  if (application_ == nullptr || application_->connecting()) return;
  dial_deadline_.Cancel();
  if (application_->broken()) {
    const bool late =
        application_->error().code() == absl::StatusCode::kDeadlineExceeded;
    return Finish(late ? Outcome::kUpstreamTimeout : Outcome::kUpstreamRefused,
                  std::string(application_->error().message()), true);
  }
  if (state_ == State::kDialing) Relaying();
}

void InboundPlain::Relaying() {
  state_ = State::kRelaying;
  record_.Open();
  if (http_ != nullptr && identity_.has_value()) {
    http_->judge().SetPeer(*identity_, tls_->session()->PeerCertificateHash(),
                           sni_);
  }
  tap_ = TapPoint::Begin(*worker_, record_.flow());
  relay_.emplace(&worker_->workshop(), client_.get(), application_.get(), this,
                 tap_.get());
  relay_->Start();
}

void InboundPlain::OnChannel() {
  if (state_ == State::kOver) return;
  if (client_->failing() && state_ != State::kHandshaking) {
    return Finish(Outcome::kReset, "the client went away", true);
  }
  if (state_ == State::kSniffing) {
    CheckDial();
    if (state_ == State::kSniffing) Sniff();
  } else if (state_ == State::kHandshaking) {
    Handshake();
  } else if (state_ == State::kDialing) {
    CheckDial();
  }
}

void InboundPlain::OnRelayEnd(RelayEnd end) {
  const bool closed = end == RelayEnd::kClosed;
  const bool tls_broke = tls_ != nullptr && tls_->broken();
  if (http_ != nullptr && http_->broken() && !tls_broke) {
    return Finish(
        http_->unreachable() ? Outcome::kUpstreamRefused : Outcome::kReset,
        std::string(http_->error().message()), true);
  }
  Finish(closed ? Outcome::kClosed : Outcome::kReset,
         tls_broke ? std::string(tls_->error().message()) : "", !closed);
}

void InboundPlain::Judge() {
  switch (state_) {
    case State::kSniffing: {
      const bool admitted = plaintext_;
      const model::MtlsMode mode = mode_;
      const bool http = pod_->workload() != nullptr &&
                        SpeaksHttp(*worker_, *pod_, local_.port);
      const bool changed = std::exchange(speaks_http_, http) != http;
      if (changed) DropApplication();
      if (AdmitsPlaintext() != admitted || mode_ != mode || changed) Consider();
      return;
    }
    case State::kHandshaking:
    case State::kOver:
      return;
    case State::kDialing:
    case State::kRelaying:
      break;
  }
  policy::Verdict verdict;
  verdict.reason = "this pod is not known any more";
  if (pod_->workload() != nullptr) verdict = Decide(identity_);
  if (verdict.allow && http_ != nullptr) {
    verdict = http_->Denial().value_or(std::move(verdict));
  }
  record_.flow().policy = verdict.deciding_policy();
  if (!verdict.allow) {
    Finish(Outcome::kPolicyChanged, std::move(verdict.reason), true);
  }
}

void InboundPlain::CheckPeer() {
  if (state_ == State::kOver || tls_ == nullptr || tls_->session() == nullptr ||
      !tls_->session()->established()) {
    return;
  }
  const base::Status trusted = worker_->contexts().CheckPeer(*tls_->session());
  if (!trusted.ok()) {
    Finish(Outcome::kTrustChanged, std::string(trusted.message()), true);
  }
}

void InboundPlain::Abort(Outcome outcome, std::string detail) {
  client_->Reset();
  Finish(outcome, std::move(detail), true);
}

void InboundPlain::Finish(Outcome outcome, std::string detail, bool reset) {
  if (state_ == State::kOver) return;
  state_ = State::kOver;
  timer_.Cancel();
  dial_deadline_.Cancel();
  expiry_.Cancel();
  observe::Flow& flow = record_.flow();
  if (relay_.has_value()) {
    flow.bytes_sent = relay_->bytes_sent();
    flow.bytes_received = relay_->bytes_received();
  }
  bool captured = captured_;
  if (reset) {
    if (!client_->closed() && !record_.opened() && tls_ == nullptr) {
      Refusal::Begin(worker_, pod_, Kind::kInbound, client_->Release(),
                     worker_->now() - record_.began(),
                     std::exchange(captured, false) ? &flow.source : nullptr);
    }
    client_->Reset();
    if (application_ != nullptr) application_->Reset();
  } else {
    client_->Close();
    if (application_ != nullptr) application_->Close();
  }
  if (captured) pod_->network().Released(flow.source);
  record_.Close(outcome, std::move(detail), worker_->now());
  if (tap_ != nullptr) tap_->End(flow);
  Leave();
}

}  // namespace nodeward::hbone
