// SPDX-License-Identifier: Apache-2.0
#include "ca/service.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "pki/csr.h"
#include "pki/csr_rules.h"

namespace nodeward::ca {
namespace {

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::vector<std::string> Encode(const pki::Issued& issued) {
  std::vector<std::string> chain;
  chain.reserve(issued.chain.size() + 1);
  for (const pki::Certificate& certificate : issued.chain) {
    chain.push_back(certificate.ToPem());
  }
  // One element: clients take the last for the roots, all of them.
  std::string roots;
  for (const pki::Certificate& root : issued.roots) roots += root.ToPem();
  chain.push_back(std::move(roots));
  return chain;
}

// Who the caller is goes with every refusal; a stranger's are only counted, or
// anybody could fill the log.
void LogRefusal(const Request& request, const Caller& caller,
                const base::Status& status) {
  base::LogWarn("certificate refused",
                {{"caller", caller.Username()},
                 {"pod", caller.pod_name},
                 {"node", caller.node_name},
                 {"peer", request.peer},
                 {"impersonated", request.impersonated.substr(0, 256)},
                 {"code", absl::StatusCodeToString(status.code())},
                 {"reason", std::string(status.message())}});
}

}  // namespace

Service::Service(Options options, Issuer issuer, Authenticator* authenticator,
                 const Authorizer* authorizer, observe::CaMetrics* metrics)
    : options_(std::move(options)),
      issuer_(std::move(issuer)),
      authenticator_(authenticator),
      authorizer_(authorizer),
      metrics_(metrics),
      per_caller_(options_.per_caller),
      per_address_(options_.per_address) {}

void Service::SetPods(std::shared_ptr<const PodDirectory> pods) {
  base::MutexLock lock(&mutex_);
  pods_.swap(pods);
}

base::StatusOr<std::vector<std::string>> Service::Create(
    const Request& request) {
  const absl::Time start = absl::Now();
  base::StatusOr<std::vector<std::string>> answer = Answer(request);
  metrics_->Answered(absl::StatusCodeToString(answer.status().code()),
                     absl::Now() - start);
  return answer;
}

base::StatusOr<std::vector<std::string>> Service::Answer(
    const Request& request) {
  NODEWARD_ASSIGN(const Limiter::Pass address,
                  per_address_.Enter(request.peer));
  if (!request.token.has_value() || request.token->empty()) {
    return absl::UnauthenticatedError("missing token");
  }
  if (request.csr.empty()) {
    return absl::InvalidArgumentError("missing certificate signing request");
  }
  NODEWARD_ASSIGN(const Caller caller,
                  authenticator_->Authenticate(*request.token));
  NODEWARD_ASSIGN(const Limiter::Pass pass, per_caller_.Enter(caller.Key()));
  auto answer = ForCaller(request, caller);
  if (!answer.ok()) LogRefusal(request, caller, answer.status());
  return answer;
}

base::StatusOr<std::vector<std::string>> Service::ForCaller(
    const Request& request, const Caller& caller) {
  std::shared_ptr<const PodDirectory> pods;
  {
    base::MutexLock lock(&mutex_);
    pods = pods_;
  }
  NODEWARD_ASSIGN(
      const model::Identity identity,
      authorizer_->Authorize(caller, request.impersonated, pods.get()));
  return Issue(request, caller, identity);
}

base::StatusOr<std::vector<std::string>> Service::Issue(
    const Request& request, const Caller& caller,
    const model::Identity& identity) {
  NODEWARD_ASSIGN(const pki::Csr csr, pki::Csr::ParsePem(request.csr));
  const base::StatusOr<model::Identity> named = csr.SpiffeId();
  if (request.impersonated.empty() && named.ok() && *named != identity) {
    return absl::FailedPreconditionError(base::StrCat(
        "requested identity did not match provided token: requested=",
        named->ToSpiffe(), "; found=", identity.ToSpiffe()));
  }
  NODEWARD_TRY(pki::CheckRequest(csr, identity));
  const std::shared_ptr<const pki::Authority> authority = issuer_();
  if (authority == nullptr) {
    return absl::UnavailableError("cert issuer not ready yet");
  }
  const absl::Time now = options_.clock();
  const absl::Duration lifetime =
      request.lifetime > absl::ZeroDuration()
          ? std::min(request.lifetime, options_.max_lifetime)
          : options_.lifetime;
  base::StatusOr<pki::Issued> issued = authority->Issue(
      identity, csr.public_key(),
      {.not_before = now - options_.clock_skew, .not_after = now + lifetime},
      now);
  if (!issued.ok()) {
    // Nothing that the caller could change; another issuer may come.
    return absl::UnavailableError(base::StrCat(
        "cert issuer not ready yet: ", std::string(issued.status().message())));
  }
  const pki::Certificate& leaf = issued->chain.front();
  base::LogInfo("certificate issued", {{"caller", caller.Username()},
                                       {"pod", caller.pod_name},
                                       {"node", caller.node_name},
                                       {"peer", request.peer},
                                       {"identity", identity.ToSpiffe()},
                                       {"serial", leaf.SerialHex()},
                                       {"not_after", Utc(leaf.not_after())}});
  return Encode(*issued);
}

}  // namespace nodeward::ca
