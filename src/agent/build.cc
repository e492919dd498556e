// SPDX-License-Identifier: Apache-2.0
//
// How an agent is put together: each room after those it rests on.
#include <memory>
#include <utility>

#include "agent/agent.h"
#include "agent/process.h"
#include "base/log.h"
#include "base/text.h"
#include "nodeward/version.h"
#include "pki/embedded_ca.h"
#include "policy/answer.h"
#include "policy/question.h"
#include "policy/verdict.h"

namespace nodeward::agent {

base::Status Agent::Build() {
  NODEWARD_TRY(PrepareProcess());
  NODEWARD_ASSIGN(loop_, io::Loop::Create());
  // Before the first other thread: they inherit the blocked signals.
  NODEWARD_ASSIGN(signals_, Signals::Watch(*loop_, [this](int signal) {
                    OnSignal(signal);
                  }));
  NODEWARD_ASSIGN(run_dir_, admin::RunDir::Open(config_.run_dir));
  NODEWARD_ASSIGN(
      issuer_, pki::EmbeddedCa::Open({.folder = config_.embedded_ca,
                                      .trust_domain = config_.trust_domain}));
  refresh_ = std::make_unique<io::Timer>(*loop_, [this] { Refresh(); });
  NODEWARD_TRY(BuildDataPath());
  NODEWARD_TRY(BuildAdmin());
  NODEWARD_ASSIGN(
      source_,
      discovery::WatchManifests(
          *loop_, {.directory = config_.manifests,
                   .trust_domain = config_.trust_domain,
                   .trust_domain_aliases = config_.trust_domain_aliases,
                   .root_namespace = config_.root_namespace,
                   .path_normalization = config_.path_normalization}));
  return source_->Start(
      [this](model::SnapshotPtr snapshot) { OnSnapshot(std::move(snapshot)); });
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
  NODEWARD_ASSIGN(
      engine_, hbone::Engine::Start(options, &credentials_, recorder_.get()));
  pods_ = std::make_unique<EnginePods>(engine_.get());
  renewer_ = std::make_unique<identity::Renewer>(
      *loop_, issuer_.get(), &credentials_,
      identity::Renewer::Options{
          .trust_domain = config_.trust_domain,
          .trust_domain_aliases = config_.trust_domain_aliases},
      [this] { engine_->CredentialsChanged(); });
  capture::Options capture;
  capture.node = config_.node;
  capture.bpf_dir = config_.bpf_dir;
  capture.cgroup = config_.cgroup;
  capture.kubelet_cgroup = config_.kubelet_cgroup;
  capture.kubelet_port = config_.kubelet_port;
  capture.mesh_cidrs = config_.mesh_cidrs;
  capture.forbids_plaintext = [](const model::Snapshot& snapshot,
                                 const model::Workload& workload,
                                 const base::IpAddress& source, uint16_t port) {
    return !policy::AdmitsPlaintext(snapshot, workload, source, port);
  };
  NODEWARD_ASSIGN(enroller_, capture::Enroller::Start(
                                 *loop_, std::move(capture), pods_.get()));
  return base::OkStatus();
}

base::Status Agent::BuildAdmin() {
  NODEWARD_ASSIGN(control_, admin::ControlServer::Listen(
                                *loop_, run_dir_->control_socket()));
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
  control_->Handle("status", [this](const base::Json& args) {
    return admin::StatusResult(Report(), args);
  });
  using Response = admin::HttpServer::Response;
  if (config_.metrics_port != 0) {
    const auto text = [this] {
      return Response{200, "text/plain; version=0.0.4; charset=utf-8",
                      Scrape()};
    };
    NODEWARD_ASSIGN(
        metrics_server_,
        admin::HttpServer::Start(
            {.address = config_.metrics_address, .port = config_.metrics_port},
            {{"/metrics", text}, {"/stats/prometheus", text}}));
  }
  if (config_.readiness_port != 0) {
    const auto ready = [this] {
      const auto [is_ready, body] = readiness_.Get();
      return Response{is_ready ? 200 : 503, "text/plain; charset=utf-8", body};
    };
    NODEWARD_ASSIGN(ready_server_, admin::HttpServer::Start(
                                       {.address = config_.metrics_address,
                                        .port = config_.readiness_port},
                                       {{"/healthz/ready", ready}}));
  }
  return base::OkStatus();
}

}  // namespace nodeward::agent
