// SPDX-License-Identifier: Apache-2.0
#include "hbone/request_judge.h"

#include <utility>
#include <vector>

#include "base/text.h"
#include "hbone/flow_record.h"
#include "hbone/mesh_view.h"
#include "hbone/worker.h"
#include "policy/path.h"

namespace nodeward::hbone {
namespace {

using Ruling = http::GatewayUser::Ruling;

// A client chooses it: so much of it is enough for a log.
constexpr size_t kMaxLogged = 200;

std::string Title(const http::RequestHead& request) {
  return base::StrCat(request.method().substr(0, kMaxLogged), " ",
                      std::string_view(request.path()).substr(0, kMaxLogged),
                      ": ");
}

}  // namespace

bool SpeaksHttp(const Worker& worker, const Pod& pod, uint16_t port) {
  switch (worker.mesh()->snapshot().TraitsOf(*pod.workload(), port).protocol) {
    case model::Protocol::kHttp:
    case model::Protocol::kHttp2:
    case model::Protocol::kGrpc:
      return true;
    case model::Protocol::kUnknown:
      return pod.policy().WantsHttp(port);
    case model::Protocol::kTls:
    case model::Protocol::kTcp:
      break;
  }
  return false;
}

RequestJudge::RequestJudge(Worker* worker, Pod* pod, const observe::Flow* flow)
    : worker_(worker), pod_(pod), flow_(flow) {}

void RequestJudge::SetPeer(const model::Identity& peer, std::string_view hash,
                           std::string_view sni) {
  peer_ = peer;
  sni_ = sni;
  const auto own = pod_->identity();
  client_cert_ =
      base::StrCat("By=", own == nullptr ? "" : own->ToSpiffe(), ";Hash=", hash,
                   ";Subject=\"\";URI=", peer.ToSpiffe());
}

Ruling RequestJudge::Judge(http::RequestHead* request) {
  if (request->method() != "CONNECT" && worker_->mesh() != nullptr) {
    auto path = policy::NormalizePath(
        worker_->mesh()->snapshot().path_normalization, request->path());
    if (!path.has_value()) return Ruling::kRefuse;
    request->set_path(*std::move(path));
  }
  if (auto denial = Denial(*request)) {
    Record(observe::Outcome::kDeniedRequest, denial->deciding_policy(),
           Title(*request) + denial->reason);
    return Ruling::kDeny;
  }
  // Nobody could tell what comes after it.
  return request->method() == "CONNECT" ? Ruling::kRefuse : Ruling::kForward;
}

std::optional<policy::Verdict> RequestJudge::Denial(
    const http::RequestHead& request) const {
  policy::Verdict verdict;
  if (pod_->workload() == nullptr) {
    verdict.reason = "this pod is not known any more";
    return verdict;
  }
  std::vector<policy::HttpHeader> headers;
  headers.reserve(request.fields().size());
  for (const http::Field& field : request.fields()) {
    headers.push_back({field.key, field.value});
  }
  const policy::HttpRequest http{request.method(), request.path(),
                                 request.host(), headers};
  const uint16_t port = flow_->upstream.port;
  verdict = pod_->policy().Decide({.source = flow_->source.address,
                                   .peer = peer_,
                                   .port = port,
                                   .destination = flow_->upstream.address,
                                   .sni = sni_,
                                   .http = &http});
  const bool switches = request.method() == "CONNECT" ||
                        request.upgrade() == http::Upgrade::kOther;
  if (verdict.allow && switches && pod_->policy().WantsHttp(port)) {
    verdict.allow = false;
    verdict.reason =
        "a switch to another protocol, where a policy asks for HTTP attributes";
  }
  if (verdict.allow) return std::nullopt;
  return verdict;
}

void RequestJudge::RecordBad(const base::Status& why) const {
  Record(observe::Outcome::kBadRequest, "", std::string(why.message()));
}

void RequestJudge::Record(observe::Outcome outcome, std::string policy,
                          std::string detail) const {
  FlowRecord record(worker_->flows(), worker_->NextFlowId(),
                    observe::Reporter::kDestination, worker_->now());
  observe::Flow& flow = record.flow();
  const uint64_t id = flow.id;
  const absl::Time opened = flow.opened;
  flow = *flow_;
  flow.id = id;
  flow.opened = opened;
  flow.bytes_sent = flow.bytes_received = 0;
  flow.policy = std::move(policy);
  record.Close(outcome, std::move(detail), worker_->now());
}

}  // namespace nodeward::hbone
