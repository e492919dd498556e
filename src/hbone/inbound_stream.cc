// SPDX-License-Identifier: Apache-2.0
#include "hbone/inbound_stream.h"

#include <utility>

#include "base/text.h"
#include "hbone/mesh_view.h"
#include "hbone/worker.h"
#include "policy/verdict.h"

namespace nodeward::hbone {
namespace {

using observe::Outcome;

}  // namespace

RequestVerdict JudgeRequest(const http::Request& request,
                            const base::IpAddress& address) {
  if (request.method != "CONNECT") {
    return {400, 0, Outcome::kNoRoute,
            base::StrCat("method ", request.method, " instead of CONNECT")};
  }
  const auto asked = base::Endpoint::Parse(request.authority);
  if (!asked.ok()) {
    // An address alone names no port of ours; anything else is no address.
    std::string_view bare = request.authority;
    if (bare.starts_with('[') && bare.ends_with(']')) {
      bare = bare.substr(1, bare.size() - 2);
    }
    const auto alone = base::IpAddress::Parse(bare);
    const bool ours = alone.ok() && *alone == address;
    return {ours ? 503 : 400, 0, Outcome::kNoRoute,
            base::StrCat("unusable :authority '", request.authority, "'")};
  }
  if (asked->address != address) {
    return {400, 0, Outcome::kNoRoute,
            base::StrCat(":authority ", asked->ToString(),
                         " through a tunnel to ", address.ToString())};
  }
  switch (asked->port) {
    case 15001:
    case 15006:
    case 15008:
      return {503, asked->port, Outcome::kReservedPort,
              base::StrCat("port ", asked->port, " is the mesh's own")};
    default:
      return {200, asked->port, Outcome::kOpen, ""};
  }
}

void InboundStream::Accept(Worker* worker, Pod* pod, InboundTunnel* tunnel,
                           int32_t stream, const http::Request& request) {
  auto made = std::make_unique<InboundStream>(worker, pod, tunnel, stream);
  static_cast<InboundStream*>(pod->Adopt(std::move(made)))->Start(request);
}

InboundStream::InboundStream(Worker* worker, Pod* pod, InboundTunnel* tunnel,
                             int32_t stream)
    : Member(worker, pod, Kind::kInbound),
      tunnel_(tunnel),
      stream_(stream),
      record_(worker->flows(), worker->NextFlowId(),
              observe::Reporter::kDestination, worker->now()),
      deadline_(worker->workshop().loop(), [this] {
        Refuse(503, Outcome::kUpstreamTimeout, "the application: no answer");
      }) {}

void InboundStream::Start(const http::Request& request) {
  const RequestVerdict verdict = JudgeRequest(request, tunnel_->address());
  port_ = verdict.port;
  MakeApplication();
  tunnel_->AddStream();
  tunnel_->tunnel().http().Watch(stream_, &*relay_);
  relay_->Attach(&tunnel_->tunnel(), stream_);

  observe::Flow& flow = record_.flow();
  flow.security = observe::Security::kMutualTls;
  flow.source = tunnel_->peer();
  flow.destination = flow.upstream = {tunnel_->address(), 0};
  flow.source_identity = tunnel_->identity();
  flow.destination_workload = pod_->workload();

  flow.destination.port = flow.upstream.port = port_;
  if (verdict.status != 200) {
    return Refuse(verdict.status, verdict.outcome, verdict.reason);
  }
  if (pod_->workload() == nullptr || worker_->mesh() == nullptr) {
    return Refuse(503, Outcome::kNoRoute, "this pod is not known");
  }
  flow.destination_identity = pod_->identity();
  flow.source_workload = worker_->mesh()->FindOwner(tunnel_->peer().address);
  flow.service = worker_->mesh()->FindServing(*pod_->workload(), port_);
  if (pod_->shared().inbound.load(std::memory_order_relaxed) >
      worker_->options().max_connections_per_pod) {
    return Refuse(503, Outcome::kLimit,
                  "the pod has too many open inbound connections");
  }
  std::string reason;
  if (!Admitted(&reason)) {
    return Refuse(401, Outcome::kDeniedPolicy, std::move(reason));
  }
  // A client may send before it has the answer.
  tap_ = TapPoint::Begin(*worker_, flow);
  relay_->Show(tap_.get(), StreamRelay::Client::kStream);
  Dial();
}

void InboundStream::MakeApplication() {
  Workshop* const workshop = &worker_->workshop();
  if (port_ != 0 && pod_->workload() != nullptr && worker_->mesh() != nullptr &&
      SpeaksHttp(*worker_, *pod_, port_)) {
    auto made = std::make_unique<HttpChannel>(workshop, this, worker_, pod_,
                                              &record_.flow(),
                                              [this] { return Connect(); });
    http_ = made.get();
    application_ = std::move(made);
  } else {
    application_ = std::make_unique<TcpChannel>(workshop, this);
  }
  relay_.emplace(workshop, application_.get(), this);
}

base::StatusOr<base::Fd> InboundStream::Connect() {
  return pod_->network().ConnectOnward(tunnel_->peer().address,
                                       {tunnel_->address(), port_});
}

bool InboundStream::Admitted(std::string* reason) {
  if (pod_->workload() == nullptr) {
    *reason = "this pod is not known any more";
    return false;
  }
  policy::Verdict verdict =
      pod_->policy().Decide({.source = tunnel_->peer().address,
                             .peer = *tunnel_->identity(),
                             .port = port_,
                             .destination = tunnel_->address(),
                             .http_to_come = http_ != nullptr});
  if (verdict.allow && http_ != nullptr) {
    verdict = http_->Denial().value_or(std::move(verdict));
  }
  record_.flow().policy = verdict.deciding_policy();
  *reason = std::move(verdict.reason);
  return verdict.allow;
}

void InboundStream::Dial() {
  if (http_ != nullptr) {
    http_->judge().SetPeer(*tunnel_->identity(),
                           tunnel_->tunnel().tls()->PeerCertificateHash(), "");
    // It must see nothing of what policy may deny yet.
    if (pod_->policy().WantsHttp(port_)) return OnChannel();
  }
  auto fd = Connect();
  base::Status status = fd.status();
  if (status.ok()) status = application_->Open(*std::move(fd), true);
  if (!status.ok()) {
    return Refuse(503, Outcome::kUpstreamRefused,
                  std::string(status.message()));
  }
  deadline_.Set(worker_->options().connect_timeout);
}

void InboundStream::OnChannel() {
  if (over_ || application_->connecting()) return;
  if (application_->broken()) {
    const bool late =
        application_->error().code() == absl::StatusCode::kDeadlineExceeded;
    return Refuse(503,
                  late ? Outcome::kUpstreamTimeout : Outcome::kUpstreamRefused,
                  std::string(application_->error().message()));
  }
  deadline_.Cancel();
  open_ = true;
  tunnel_->tunnel().http().Accept(stream_, {}, &*relay_);
  record_.Open();
  relay_->Open();
}

void InboundStream::OnRelayEnd(RelayEnd end) {
  switch (end) {
    case RelayEnd::kClosed:
      return Finish(Outcome::kClosed, "", false);
    case RelayEnd::kRefused:
      return Finish(Outcome::kReset, "the client left before the answer", true);
    case RelayEnd::kReset:
      break;
  }
  if (http_ != nullptr && http_->broken()) {
    return Finish(
        http_->unreachable() ? Outcome::kUpstreamRefused : Outcome::kReset,
        std::string(http_->error().message()), true);
  }
  const bool lost = relay_->reset_by_stream() && tunnel_->tunnel().down();
  Finish(lost ? tunnel_->tunnel().loss() : Outcome::kReset,
         lost ? std::string(tunnel_->tunnel().why().message()) : "", true);
}

void InboundStream::Judge() {
  std::string reason;
  if (over_ || Admitted(&reason)) return;
  if (open_) {
    Finish(Outcome::kPolicyChanged, std::move(reason), true);
  } else {
    Refuse(401, Outcome::kDeniedPolicy, std::move(reason));
  }
}

void InboundStream::Abort(Outcome outcome, std::string detail) {
  Finish(outcome, std::move(detail), true);
}

void InboundStream::Refuse(int status, Outcome outcome, std::string detail) {
  if (over_) return;
  tunnel_->tunnel().http().Refuse(stream_, status);
  tunnel_->tunnel().ScheduleFlush();
  relay_->Abandon();
  Finish(outcome, std::move(detail), true);
}

void InboundStream::Finish(Outcome outcome, std::string detail, bool reset) {
  if (std::exchange(over_, true)) return;
  deadline_.Cancel();
  relay_->Detach(http::error_code::kConnectError);
  observe::Flow& flow = record_.flow();
  flow.bytes_sent = relay_->from_stream();
  flow.bytes_received = relay_->from_application();
  if (reset) {
    application_->Reset();
  } else {
    application_->Close();
  }
  record_.Close(outcome, std::move(detail), worker_->now());
  if (tap_ != nullptr) tap_->End(flow);
  tunnel_->StreamEnded();
  Leave();
}

}  // namespace nodeward::hbone
