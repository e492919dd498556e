// SPDX-License-Identifier: Apache-2.0
#include "ca/authority_process.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "ca/kubernetes_pods.h"
#include "ca/pods.h"
#include "nodeward/version.h"

namespace nodeward::ca {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1);

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string RootsPem(const pki::Authority& issuer) {
  std::string pem;
  for (const pki::Certificate& root : issuer.roots()) pem += root.ToPem();
  return pem;
}

}  // namespace

AuthorityProcess::AuthorityProcess(const Config& config)
    : config_(config), metrics_(kVersion) {}

AuthorityProcess::~AuthorityProcess() = default;

base::StatusOr<std::unique_ptr<AuthorityProcess>> AuthorityProcess::Start(
    const Config& config) {
  std::unique_ptr<AuthorityProcess> process(new AuthorityProcess(config));
  NODEWARD_TRY(process->Build());
  return process;
}

base::Status AuthorityProcess::Build() {
  NODEWARD_ASSIGN(loop_, io::Loop::Create());
  NODEWARD_ASSIGN(signals_, io::Signals::Watch(*loop_, [this](int signal) {
                    OnSignal(signal);
                  }));
  NODEWARD_ASSIGN(issuer_, IssuerWatch::Start(
                               *loop_,
                               {.place = config_.issuer,
                                .trust_domain = config_.trust_domain},
                               [this](const Event& event) { OnEvent(event); }));
  NODEWARD_TRY(BuildAuthenticator());
  NODEWARD_TRY(BuildLeadership());
  authorizer_ = std::make_unique<Authorizer>(
      Authorizer::Options{config_.trust_domain, config_.trusted_agents});
  service_ = std::make_unique<Service>(
      Service::Options{.lifetime = config_.lifetime,
                       .max_lifetime = config_.max_lifetime,
                       .clock_skew = config_.clock_skew,
                       .per_caller = {.rate = config_.rate,
                                      .burst = config_.burst,
                                      .in_flight = config_.in_flight}},
      [this] { return issuer_->current(); }, authenticator_.get(),
      authorizer_.get(), &metrics_);
  NODEWARD_TRY(BuildPods());
  serving_ = std::make_unique<ServingCertificate>(
      ServingCertificate::Options{.names = config_.names,
                                  .lifetime = config_.lifetime,
                                  .clock_skew = config_.clock_skew});
  NODEWARD_TRY(serving_->Refresh(issuer_->current(), absl::Now()));
  NODEWARD_ASSIGN(server_, Server::Start({.listen = config_.listen},
                                         service_.get(), serving_.get()));
  NODEWARD_TRY(BuildAdmin());
  tick_ = std::make_unique<io::Timer>(*loop_, [this] { OnTick(); });
  OnTick();
  return base::OkStatus();
}

base::Status AuthorityProcess::BuildAuthenticator() {
  if (!config_.kubernetes_api.empty()) {
    api_ = std::make_unique<HttpsClient>(
        HttpsClient::Options{.server = config_.kubernetes_api,
                             .ca_file = config_.kubernetes_ca,
                             .token_file = config_.kubernetes_token});
    authenticator_ = std::make_unique<TokenReview>(
        TokenReview::Options{.audiences = config_.audiences},
        config_.kubernetes_api,
        [this](const std::string& path, const std::string& json)
            -> base::StatusOr<std::pair<long, std::string>> {
          NODEWARD_ASSIGN(HttpsClient::Answer answer, api_->Post(path, json));
          return std::pair(answer.status, std::move(answer.body));
        });
    return base::OkStatus();
  }
  NODEWARD_ASSIGN(std::unique_ptr<StaticTokens> tokens,
                  StaticTokens::Open(config_.token_file));
  tokens_ = tokens.get();
  authenticator_ = std::move(tokens);
  return base::OkStatus();
}

base::Status AuthorityProcess::BuildLeadership() {
  const bool wanted =
      config_.lease || config_.events_on || config_.publish_roots;
  if (!wanted || api_ == nullptr) return base::OkStatus();
  Leadership::Options options;
  options.api.server = config_.kubernetes_api;
  options.api.ca = config_.kubernetes_ca;
  options.api.token = config_.kubernetes_token;
  options.lease = config_.lease;
  options.events_on = config_.events_on;
  if (config_.publish_roots) {
    options.publish =
        RootBundles::Options{.place = *config_.publish_roots,
                             .namespaces = config_.publish_to_namespaces};
  }
  char host[HOST_NAME_MAX + 1] = "";
  gethostname(host, HOST_NAME_MAX);
  options.instance = host[0] == '\0' ? "nodeward-ca" : host;
  NODEWARD_ASSIGN(leadership_, Leadership::Start(*loop_, std::move(options)));
  return base::OkStatus();
}

base::Status AuthorityProcess::BuildPods() {
  if (config_.manifests.empty()) {
    if (api_ == nullptr) return base::OkStatus();
    service_->SetPods(std::make_shared<const KubernetesPods>(
        config_.trust_domain,
        [this](const std::string& path)
            -> base::StatusOr<std::pair<long, std::string>> {
          NODEWARD_ASSIGN(HttpsClient::Answer answer, api_->Get(path));
          return std::pair(answer.status, std::move(answer.body));
        }));
    return base::OkStatus();
  }
  discovery::ManifestOptions options;
  options.directory = config_.manifests;
  options.trust_domain = config_.trust_domain;
  NODEWARD_ASSIGN(pods_, discovery::WatchManifests(*loop_, std::move(options)));
  return pods_->Start([this](const model::SnapshotPtr& snapshot) {
    service_->SetPods(std::make_shared<const Pods>(snapshot));
  });
}

base::Status AuthorityProcess::BuildAdmin() {
  if (!config_.serve_admin) return base::OkStatus();
  using Response = admin::HttpServer::Response;
  const auto text = [this] {
    return Response{200, "text/plain; version=0.0.4; charset=utf-8",
                    metrics_.Text(absl::Now())};
  };
  const auto ready = [this] {
    const auto [is_ready, body] = readiness_.Get();
    return Response{is_ready ? 200 : 503, "text/plain; charset=utf-8", body};
  };
  NODEWARD_ASSIGN(admin_, admin::HttpServer::Start(
                              {.address = config_.admin.address,
                               .port = config_.admin.port},
                              {{"/metrics", text}, {"/healthz/ready", ready}}));
  return base::OkStatus();
}

void AuthorityProcess::Run() {
  LogStart();
  loop_->Run();
  readiness_.Set({"stopping"});
  server_->Drain(config_.drain);
  base::LogInfo("CA stopped");
}

base::Endpoint AuthorityProcess::listen() const {
  return {config_.listen.address, server_->port()};
}

base::Endpoint AuthorityProcess::admin() const {
  const uint16_t port = admin_ == nullptr ? uint16_t{0} : admin_->port();
  return {config_.admin.address, port};
}

void AuthorityProcess::LogStart() const {
  const auto issuer = issuer_->current();
  base::LogInfo("CA started",
                {{"version", kVersion},
                 {"listen", listen().ToString()},
                 {"admin", admin_ == nullptr ? "none" : admin().ToString()},
                 {"trust_domain", config_.trust_domain},
                 {"issuer", issuer->source()},
                 {"issuer_not_after", Utc(issuer->not_after())},
                 {"authentication", authenticator_->Description()}});
}

void AuthorityProcess::OnSignal(int signal) {
  base::LogInfo("CA stops", {{"signal", strsignal(signal)}});
  if (leadership_ == nullptr || stopping_) return loop_->Stop();
  stopping_ = true;
  leadership_->Resign([this] { loop_->Stop(); });
}

void AuthorityProcess::OnEvent(const Event& event) {
  metrics_.Happened(event.reason);
  base::Log(event.warning ? base::LogLevel::kWarn : base::LogLevel::kInfo,
            event.note,
            {{"type", event.warning ? "Warning" : "Normal"},
             {"reason", event.reason}});
  if (leadership_ != nullptr) leadership_->Tell(event);
  Refresh();
}

void AuthorityProcess::OnTick() {
  Refresh();
  tick_->Set(kTick);
}

void AuthorityProcess::Refresh() {
  const absl::Time now = absl::Now();
  const auto issuer = issuer_->current();
  std::vector<std::string> reasons;
  if (now >= issuer->not_after()) {
    reasons.push_back(base::StrCat("the issuer's chain expired on ",
                                   Utc(issuer->not_after())));
  } else if (const base::Status renewed = serving_->Refresh(issuer, now);
             !renewed.ok()) {
    reasons.push_back(std::string(renewed.message()));
  }
  if (tokens_ != nullptr) {
    const base::Status read = tokens_->Refresh();
    const std::string error(read.message());
    if (error != token_error_ && !error.empty()) {
      base::LogWarn("token file not taken, the last one counts",
                    {{"reason", error}});
    }
    token_error_ = error;
  }
  if (leadership_ != nullptr) leadership_->SetRoots(RootsPem(*issuer));
  metrics_.SetIssuer(issuer->not_after());
  metrics_.SetServing(serving_->not_after());
  server_->SetServing(reasons.empty());
  readiness_.Set(reasons);
}

}  // namespace nodeward::ca
