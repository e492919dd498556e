// SPDX-License-Identifier: Apache-2.0
//
// What the agent tells of itself: status and readiness.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "agent/agent.h"
#include "base/text.h"
#include "nodeward/version.h"
#include "policy/authn.h"

namespace nodeward::agent {
namespace {

using WorkloadsByUid =
    absl::flat_hash_map<std::string_view, const model::Workload*>;

WorkloadsByUid WorkloadsOf(const model::Snapshot& snapshot,
                           const std::string& node) {
  WorkloadsByUid workloads;
  for (const auto& workload : snapshot.workloads) {
    if (workload->node == node) workloads[workload->uid] = workload.get();
  }
  return workloads;
}

admin::PodReport::Mtls MtlsOf(const model::Snapshot& snapshot,
                              const model::Workload& workload) {
  admin::PodReport::Mtls mtls;
  // Port 0 is listed nowhere: it shows what ports not listed get.
  const policy::EffectiveMtls rest = policy::MtlsFor(snapshot, workload, 0);
  mtls.mode = model::MtlsModeText(rest.mode);
  mtls.policy = rest.policy;
  for (const auto& authentication : snapshot.peer_authentications) {
    if (authentication.name_space != workload.name_space) continue;
    for (const auto& [port, mode] : authentication.port_modes) {
      const auto effective = policy::MtlsFor(snapshot, workload, port);
      if (effective.mode != rest.mode) {
        mtls.ports[port] = model::MtlsModeText(effective.mode);
      }
    }
  }
  return mtls;
}

admin::PodReport::Certificate CertificateOf(
    const identity::CertificateStatus& status) {
  return {.identity = status.identity.ToSpiffe(),
          .state = std::string(identity::CertificateStateText(status.state)),
          .serial = status.serial,
          .not_after = status.not_after,
          .error = status.error};
}

// "does not issue: connection refused; 3 certificates serve on, the first until
// 2026-11-22T05:30:37Z".
std::string CaProblem(const std::vector<identity::CertificateStatus>& all) {
  std::string error;
  int serving = 0;
  absl::Time first = absl::InfiniteFuture();
  for (const auto& each : all) {
    if (each.error.empty()) continue;
    error = each.error;
    if (each.state != identity::CertificateState::kRenewalFailing) continue;
    ++serving;
    first = std::min(first, each.not_after);
  }
  if (error.empty()) return "";
  std::string text = base::StrCat("does not issue: ", error);
  if (serving > 0) {
    base::StrAppend(
        &text, "; ", serving,
        " certificate(s) due for renewal serve on, the first until ",
        absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", first, absl::UTCTimeZone()));
  }
  return text;
}

}  // namespace

std::vector<std::string> Agent::UnreadyReasons() const {
  std::vector<std::string> reasons;
  if (stopping_) reasons.push_back("stopping");
  if (steered_ == nullptr) {
    reasons.push_back("no snapshot applied yet");
    for (const model::Problem& problem : source_->problems()) {
      reasons.push_back(problem.ToString());
    }
  }
  if (latest_ != nullptr) {
    for (const model::Problem& problem : latest_->problems) {
      if (problem.closes) reasons.push_back(problem.ToString());
    }
  }
  if (plugin_ != nullptr && !plugin_->problem().empty()) {
    reasons.push_back(plugin_->problem());
  }
  for (std::string& missing : MissingCertificates()) {
    reasons.push_back(std::move(missing));
  }
  return reasons;
}

std::vector<std::string> Agent::MissingCertificates() const {
  std::vector<std::string> missing;
  if (renewer_->complete()) return missing;
  for (const auto& certificate : renewer_->status()) {
    if (certificate.state == identity::CertificateState::kPending ||
        certificate.state == identity::CertificateState::kExpired) {
      missing.push_back(base::StrCat(
          "no valid certificate for ", certificate.identity.ToSpiffe(),
          certificate.error.empty() ? "" : ": ", certificate.error));
    }
  }
  return missing;
}

admin::StatusReport Agent::Report() const {
  admin::StatusReport report;
  report.node = config_.node;
  report.version = kVersion;
  report.uptime = absl::Now() - started_;
  report.not_ready = UnreadyReasons();
  report.ready = report.not_ready.empty();
  report.ca = renewer_->IssuerDescription();
  report.ca_problem = CaProblem(renewer_->status());
  report.trust_domain = config_.trust_domain;
  report.trust = trust_->Description();
  report.trust_problems = trust_->problems();
  const auto kubelet = enroller_->kubelet();
  report.kubelet = {kubelet.found, kubelet.cgroup, kubelet.reason};
  const auto load = engine_->load();
  report.open_connections = load.connections;
  report.tunnels = load.tunnels;
  report.buffered_bytes = load.buffered_bytes;
  for (const auto& [name, value] : enroller_->Counters()) {
    report.counters[name] = value;
  }
  const auto add_problems = [&](const std::vector<model::Problem>& problems) {
    for (const model::Problem& problem : problems) {
      report.problems.push_back({problem.file, problem.line, problem.object,
                                 problem.reason, problem.closes});
    }
  };
  add_problems(source_->problems());
  if (latest_ == nullptr) return report;
  add_problems(latest_->problems);
  add_problems(client_files_.problems());
  for (const auto& [kind, count] : latest_->ignored_kinds) {
    report.ignored_kinds[kind] = count;
  }
  std::map<model::Identity, identity::CertificateStatus> certificates;
  for (auto& status : renewer_->status()) {
    certificates.emplace(status.identity, status);
  }
  const WorkloadsByUid workloads = WorkloadsOf(*latest_, config_.node);
  for (const capture::PodStatus& status : enroller_->status()) {
    admin::PodReport pod;
    pod.name_space = status.name_space;
    pod.name = status.name;
    pod.state = capture::PodStateText(status.state);
    pod.reason = status.reason;
    const auto known = workloads.find(status.uid);
    if (known != workloads.end() &&
        status.state != capture::PodState::kSkipped) {
      const model::Workload* const workload = known->second;
      if (pod.reason.empty()) pod.reason = workload->membership_reason;
      pod.mtls = MtlsOf(*latest_, *workload);
      const auto found = certificates.find(workload->identity);
      if (found != certificates.end()) {
        pod.certificate = CertificateOf(found->second);
      }
      pod.probe_ports = workload->probe_ports;
      pod.probes_exempt = status.probe_exemption && kubelet.found;
      if (!status.probe_exemption) {
        pod.probes_reason = "no host side of the pod's veth was found";
      } else if (!kubelet.found) {
        pod.probes_reason = kubelet.reason;
      }
    }
    report.pods.push_back(std::move(pod));
  }
  return report;
}

}  // namespace nodeward::agent
