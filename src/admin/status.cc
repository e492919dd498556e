// SPDX-License-Identifier: Apache-2.0
#include "admin/status.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/text.h"

namespace nodeward::admin {
namespace {

using base::Json;
using base::StrCat;

Json MtlsJson(const PodReport::Mtls& mtls) {
  Json ports = Json::object();
  for (const auto& [port, mode] : mtls.ports) ports[StrCat(port)] = mode;
  return {{"mode", mtls.mode},
          {"ports", std::move(ports)},
          {"policy", mtls.policy}};
}

Json CertificateJson(const PodReport::Certificate& certificate) {
  Json json = {{"identity", certificate.identity},
               {"state", certificate.state},
               {"serial", certificate.serial}};
  json["not_after"] =
      certificate.not_after == absl::InfinitePast()
          ? ""
          : absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", certificate.not_after,
                             absl::UTCTimeZone());
  json["error"] = certificate.error;
  return json;
}

Json PodJson(const PodReport& pod) {
  Json json = {{"namespace", pod.name_space},
               {"name", pod.name},
               {"state", pod.state},
               {"reason", pod.reason}};
  json["mtls"] = pod.mtls ? MtlsJson(*pod.mtls) : Json();
  json["certificate"] =
      pod.certificate ? CertificateJson(*pod.certificate) : Json();
  json["probes"] = {{"ports", pod.probe_ports},
                    {"exempt", pod.probes_exempt},
                    {"reason", pod.probes_reason}};
  return json;
}

Json ProblemJson(const StatusReport::Problem& problem) {
  return {{"file", problem.file},
          {"line", problem.line},
          {"object", problem.object},
          {"reason", problem.reason},
          {"closes", problem.closes}};
}

std::vector<const PodReport*> Select(const StatusReport& report,
                                     const std::string& name_space,
                                     const std::string& name) {
  std::vector<const PodReport*> pods;
  for (const PodReport& pod : report.pods) {
    if ((name_space.empty() || pod.name_space == name_space) &&
        (name.empty() || pod.name == name)) {
      pods.push_back(&pod);
    }
  }
  std::sort(pods.begin(), pods.end(),
            [](const PodReport* a, const PodReport* b) {
              return std::tie(a->name_space, a->name) <
                     std::tie(b->name_space, b->name);
            });
  return pods;
}

}  // namespace

base::StatusOr<Json> StatusResult(const StatusReport& report,
                                  const Json& arguments) {
  const std::string name_space = base::GetString(arguments, "namespace");
  const std::string name = base::GetString(arguments, "pod");
  const auto pods = Select(report, name_space, name);
  if (!name.empty() && pods.empty()) {
    return absl::NotFoundError(StrCat(
        "no pod ", name_space, name_space.empty() ? "" : "/", name, " on node ",
        report.node, "; status without a name lists the pods it knows"));
  }
  bool healthy = true;
  Json shown = Json::array();
  for (const PodReport* pod : pods) {
    shown.push_back(PodJson(*pod));
    healthy &= pod->state != "pending" && pod->state != "failed";
  }
  Json problems = Json::array();
  for (const StatusReport::Problem& problem : report.problems) {
    problems.push_back(ProblemJson(problem));
    healthy &= !problem.closes;
  }
  return Json{{"node", report.node},
              {"version", report.version},
              {"uptime_seconds", absl::ToInt64Seconds(report.uptime)},
              {"healthy", healthy},
              {"ready", report.ready},
              {"not_ready", report.not_ready},
              {"trust_domain", report.trust_domain},
              {"ca", report.ca},
              {"ca_problem", report.ca_problem},
              {"trust", report.trust},
              {"trust_problems", report.trust_problems},
              {"kubelet",
               {{"found", report.kubelet.found},
                {"cgroup", report.kubelet.cgroup},
                {"reason", report.kubelet.reason}}},
              {"open_connections", report.open_connections},
              {"tunnels", report.tunnels},
              {"buffered_bytes", report.buffered_bytes},
              {"problems", std::move(problems)},
              {"ignored_kinds", report.ignored_kinds},
              {"counters", report.counters},
              {"pods", std::move(shown)}};
}

}  // namespace nodeward::admin
