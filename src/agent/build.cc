// SPDX-License-Identifier: Apache-2.0
//
// How an agent is put together: each room after those it rests on.
#include <memory>
#include <utility>

#include "admin/check.h"
#include "admin/in_charge.h"
#include "admin/tap.h"
#include "agent/agent.h"
#include "agent/process.h"
#include "base/log.h"
#include "base/text.h"
#include "caclient/remote_ca.h"
#include "cni/installer.h"
#include "cni/told_sandboxes.h"
#include "cri/runtime.h"
#include "io/socket.h"
#include "nodeward/version.h"
#include "pki/embedded_ca.h"
#include "pki/key_memory.h"
#include "policy/answer.h"
#include "policy/question.h"
#include "policy/verdict.h"

namespace nodeward::agent {

namespace {

// For a million open connections, half of what their descriptors allow. What is
// not touched costs nothing.
constexpr size_t kKeyMemory = size_t{64} << 20;

std::vector<std::string> Federated(const Config& config) {
  std::vector<std::string> domains;
  domains.reserve(config.federation.size());
  for (const auto& [domain, path] : config.federation) {
    domains.push_back(domain);
  }
  return domains;
}

}  // namespace

base::Status Agent::Build() {
  NODEWARD_TRY(PrepareProcess());
  const base::Status locked = pki::UseKeyMemory(kKeyMemory);
  if (!locked.ok() && !absl::IsResourceExhausted(locked)) return locked;
  if (!locked.ok()) {
    base::LogWarn("private keys", {{"problem", std::string(locked.message())}});
  }
  NODEWARD_ASSIGN(loop_, io::Loop::Create());
  // Before the first other thread: they inherit the blocked signals.
  NODEWARD_ASSIGN(signals_, io::Signals::Watch(*loop_, [this](int signal) {
                    OnSignal(signal);
                  }));
  auto run_dir = admin::RunDir::Open(config_.run_dir);
  const bool waits =
      config_.takeover && absl::IsAlreadyExists(run_dir.status());
  if (!waits) {
    NODEWARD_TRY(run_dir.status());
    run_dir_ = *std::move(run_dir);
  }
  refresh_ = std::make_unique<io::Timer>(*loop_, [this] { Refresh(); });
  trim_ = std::make_unique<io::Timer>(*loop_, [this] { TrimHeap(); });
  turn_ = std::make_unique<io::Timer>(*loop_, [this] { AwaitTurn(); });
  NODEWARD_TRY(BuildDataPath());
  if (!waits) NODEWARD_TRY(BuildEnroller());
  NODEWARD_TRY(BuildIdentity());
  if (!waits) NODEWARD_TRY(BuildAdmin(nullptr));
  NODEWARD_TRY(BuildSource());
  if (!waits) NODEWARD_TRY(BuildPlugin());
  NODEWARD_TRY(source_->Start(
      [this](const model::SnapshotPtr& snapshot) { OnSnapshot(snapshot); }));
  waits ? AwaitTurn() : Refresh();
  return base::OkStatus();
}

base::Status Agent::BuildSource() {
  discovery::ManifestOptions reading{
      .directory = config_.manifests,
      .trust_domain = config_.trust_domain,
      .trust_domain_aliases = config_.trust_domain_aliases,
      .federated_trust_domains = Federated(config_),
      .root_namespace = config_.root_namespace,
      .path_normalization = config_.path_normalization};
  if (!config_.kubernetes) {
    NODEWARD_ASSIGN(source_,
                    discovery::WatchManifests(*loop_, std::move(reading)));
    return base::OkStatus();
  }
  kube::Options options;
  options.node = config_.node;
  options.api.server = config_.kubernetes_api;
  options.api.ca = config_.kubernetes_ca;
  options.api.token = config_.kubernetes_token;
  options.reading = std::move(reading);
  options.daemonset = config_.kubernetes_daemonset;
  options.taint = config_.kubernetes_taint;
  auto sandboxes = std::make_unique<cni::ToldSandboxes>(
      cri::AskRuntime(*loop_, config_.cri));
  sandboxes_ = sandboxes.get();
  NODEWARD_ASSIGN(
      auto source,
      kube::FollowKubernetes(*loop_, std::move(options), std::move(sandboxes)));
  kubernetes_ = source.get();
  source_ = std::move(source);
  return base::OkStatus();
}

base::Status Agent::BuildPlugin() {
  if (sandboxes_ == nullptr || config_.cni_conf_dir.empty()) {
    return base::OkStatus();
  }
  if (!config_.cni_install) {
    NODEWARD_ASSIGN(const auto removed, cni::RemovePlugin(config_.cni_conf_dir,
                                                          config_.cni_bin_dir));
    for (const std::string& what : removed) {
      base::LogInfo("removed from this node", {{"what", what}});
    }
    return base::OkStatus();
  }
  NODEWARD_ASSIGN(plugin_, NodePlugin::Create(
                               *loop_, config_, kubernetes_, sandboxes_,
                               [this] { return steered_; },
                               [this] { return enroller_->status(); }));
  if (steered_ != nullptr) plugin_->Update();
  return base::OkStatus();
}

base::Status Agent::BuildDataPath() {
  metrics_ = std::make_unique<observe::Metrics>(
      observe::Metrics::Options{.version = kVersion});
  access_log_ = std::make_unique<observe::AccessLog>(config_.log_format);
  recorder_ = std::make_unique<observe::FlowRecorder>(
      *loop_, metrics_.get(), access_log_.get(),
      observe::FlowRecorder::Options{});
  hbone::Options options;
  options.workers = config_.workers;
  options.mesh_cidrs = config_.mesh_cidrs;
  options.hold = config_.hold;
  options.sniff_wait = config_.sniff_wait;
  options.silent_deadline = config_.silent_deadline;
  options.certificate_grace = config_.certificate_grace;
  options.taps = &taps_;
  NODEWARD_ASSIGN(
      engine_, hbone::Engine::Start(options, &credentials_, recorder_.get()));
  pods_ = std::make_unique<EnginePods>(engine_.get());
  return base::OkStatus();
}

base::Status Agent::BuildEnroller() {
  capture::Options capture;
  capture.node = config_.node;
  capture.bpf_dir = config_.bpf_dir;
  capture.cgroup = config_.cgroup;
  capture.kubelet_cgroup = config_.kubelet_cgroup;
  capture.kubelet_port = config_.kubelet_port;
  capture.mesh_cidrs = config_.mesh_cidrs;
  if (config_.kubernetes) {
    capture.netns_hint =
        "the container runtime has not told its network namespace yet";
  }
  capture.forbids_plaintext = [](const model::Snapshot& snapshot,
                                 const model::Workload& workload,
                                 const base::IpAddress& source, uint16_t port) {
    return !policy::AdmitsPlaintext(snapshot, workload, source, port);
  };
  NODEWARD_ASSIGN(enroller_, capture::Enroller::Start(
                                 *loop_, std::move(capture), pods_.get()));
  return base::OkStatus();
}

base::Status Agent::BuildIdentity() {
  if (config_.ca_address.empty()) {
    NODEWARD_ASSIGN(issuer_,
                    pki::EmbeddedCa::Open({.folder = config_.embedded_ca,
                                           .trust_domain = config_.trust_domain,
                                           .lifetime = config_.ca_lifetime}));
  } else {
    issuer_ = caclient::RemoteCa::Create({.address = config_.ca_address,
                                          .server_name = config_.ca_server_name,
                                          .roots = config_.ca_roots,
                                          .token = config_.ca_token,
                                          .cluster = config_.ca_cluster,
                                          .lifetime = config_.ca_lifetime});
  }
  NODEWARD_ASSIGN(
      trust_, identity::Trust::Create(*loop_, &credentials_,
                                      {.trust_domain = config_.trust_domain,
                                       .aliases = config_.trust_domain_aliases,
                                       .bundle = config_.trust_bundle,
                                       .crl = config_.trust_crl,
                                       .crl_required = config_.crl_required,
                                       .federation = config_.federation},
                                      [this] {
                                        engine_->CredentialsChanged();
                                        renewer_->TrustChanged();
                                      }));
  renewer_ = std::make_unique<identity::Renewer>(
      *loop_, issuer_.get(), &credentials_, trust_.get(),
      identity::Renewer::Options{}, [this] { engine_->CredentialsChanged(); });
  return base::OkStatus();
}

void Agent::BuildControl() {
  control_->HandleConnection(
      "takeover", [this](base::Fd connection, const base::Json& args) {
        OnTakeoverRequest(std::move(connection), args);
      });
  control_->Handle("in-charge",
                   [](const base::Json& args) -> base::StatusOr<base::Json> {
                     return admin::InChargeResult(args);
                   });
  control_->Handle("edges", [this](const base::Json& args) {
    return recorder_->EdgesResult(args);
  });
  control_->Handle(
      "policy-test",
      [this](const base::Json& args) -> base::StatusOr<base::Json> {
        if (latest_ == nullptr) {
          return absl::UnavailableError("no snapshot yet");
        }
        NODEWARD_ASSIGN(const auto question, policy::ReadQuestion(args));
        return policy::AnswerQuestion(*latest_, question);
      });
  control_->Handle("certs", [this](const base::Json& args) {
    return admin::CertificatesResult(Certificates(), args);
  });
  control_->Handle("check",
                   [this](const base::Json&) -> base::StatusOr<base::Json> {
                     return admin::CheckResult(Check());
                   });
  control_->Handle("status", [this](const base::Json& args) {
    return admin::StatusResult(Report(), args);
  });
  control_->HandleStream(
      "tap",
      [this](const base::Json& args)
          -> base::StatusOr<std::unique_ptr<admin::LineSource>> {
        if (latest_ == nullptr) {
          return absl::UnavailableError("no snapshot yet");
        }
        NODEWARD_ASSIGN(auto question,
                        admin::ReadTapQuestion(args, *latest_, config_.node));
        return admin::StartTap(std::move(question), &taps_);
      });
}

base::StatusOr<std::unique_ptr<admin::HttpServer>> Agent::ServeHttp(
    uint16_t port, base::Fd handed, admin::HttpServer::Routes routes) {
  const admin::HttpServer::Options options{.address = config_.metrics_address,
                                           .port = port};
  if (handed.valid()) {
    const auto local = io::LocalEndpoint(handed.get());
    // Without IPv6 the unspecified address is IPv4's.
    if (local.ok() && local->port == port &&
        (local->address == options.address ||
         (local->address.is_unspecified() &&
          options.address.is_unspecified()))) {
      return admin::HttpServer::Adopt(std::move(handed), options,
                                      std::move(routes));
    }
  }
  return admin::HttpServer::Start(options, std::move(routes));
}

base::Status Agent::BuildAdmin(HandedOver* handed) {
  const auto take = [handed](std::string_view name) {
    return handed == nullptr ? base::Fd() : handed->sockets.Take(name);
  };
  const std::string path = admin::RunDir::ControlSocketIn(config_.run_dir);
  if (base::Fd listener = take("control"); listener.valid()) {
    NODEWARD_ASSIGN(control_, admin::ControlServer::Adopt(*loop_, path,
                                                          std::move(listener)));
  } else {
    NODEWARD_ASSIGN(control_, admin::ControlServer::Listen(*loop_, path));
  }
  BuildControl();
  using Response = admin::HttpServer::Response;
  if (config_.metrics_port != 0) {
    const auto text = [this] {
      return Response{200, "text/plain; version=0.0.4; charset=utf-8",
                      Scrape()};
    };
    NODEWARD_ASSIGN(
        metrics_server_,
        ServeHttp(config_.metrics_port, take("metrics"),
                  {{"/metrics", text}, {"/stats/prometheus", text}}));
  }
  if (config_.readiness_port != 0) {
    const auto ready = [this] {
      const auto [is_ready, body] = readiness_.Get();
      return Response{is_ready ? 200 : 503, "text/plain; charset=utf-8", body};
    };
    NODEWARD_ASSIGN(ready_server_,
                    ServeHttp(config_.readiness_port, take("readiness"),
                              {{"/healthz/ready", ready}}));
  }
  return base::OkStatus();
}

}  // namespace nodeward::agent
