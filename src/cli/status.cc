// SPDX-License-Identifier: Apache-2.0
#include "cli/status.h"

#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/text.h"
#include "cli/table.h"

namespace nodeward::cli {
namespace {

using base::GetBool;
using base::GetInt;
using base::GetMember;
using base::GetString;
using base::Json;
using base::StrAppend;
using base::StrCat;

std::string Joined(const Json& list, std::string_view separator) {
  std::string text;
  for (const Json& one : list) {
    StrAppend(&text, text.empty() ? "" : separator,
              one.is_string() ? one.get<std::string>() : one.dump());
  }
  return text;
}

// "STRICT", "PERMISSIVE (80 STRICT, 8080 DISABLE)".
std::string Mtls(const Json& mtls) {
  if (!mtls.is_object()) return "-";
  std::string text = GetString(mtls, "mode", "unknown");
  std::string ports;
  for (const auto& [port, mode] : GetMember(mtls, "ports").items()) {
    StrAppend(&ports, ports.empty() ? "" : ", ", port, " ",
              mode.is_string() ? mode.get<std::string>() : "unknown");
  }
  return ports.empty() ? text : StrCat(text, " (", ports, ")");
}

std::string Certificate(const Json& certificate) {
  if (!certificate.is_object()) return "-";
  std::string text = GetString(certificate, "state", "unknown");
  const std::string not_after = GetString(certificate, "not_after");
  if (!not_after.empty()) StrAppend(&text, " until ", not_after);
  const std::string error = GetString(certificate, "error");
  if (!error.empty()) StrAppend(&text, ": ", error);
  return text;
}

// "exempt (80, 8080)", "none declared", "refused (80): no kubelet".
std::string Probes(const Json& pod) {
  if (!GetMember(pod, "mtls").is_object()) return "-";
  const Json& probes = GetMember(pod, "probes");
  const std::string ports = Joined(GetMember(probes, "ports"), ", ");
  if (ports.empty()) return "none declared";
  if (GetBool(probes, "exempt")) return StrCat("exempt (", ports, ")");
  const std::string reason = GetString(probes, "reason");
  return StrCat("refused (", ports, ")", reason.empty() ? "" : ": ", reason);
}

std::string Bytes(int64_t count) {
  if (count < 1024) return StrCat(count, " B");
  if (count < 1024 * 1024) return StrCat(count / 1024, " KiB");
  return StrCat(count / (1024 * 1024), " MiB");
}

// "httpbin.yaml:12: PeerAuthentication mtls-test/httpbin: reason".
std::string Problem(const Json& problem) {
  std::string text = GetString(problem, "file");
  const int64_t line = GetInt(problem, "line");
  if (!text.empty() && line > 0) StrAppend(&text, ":", line);
  for (const char* key : {"object", "reason"}) {
    const std::string part = GetString(problem, key);
    if (!part.empty()) StrAppend(&text, text.empty() ? "" : ": ", part);
  }
  if (GetBool(problem, "closes"))
    StrAppend(&text, " (closes what it concerns)");
  return text;
}

void PrintPods(std::ostream& out, const Json& pods) {
  if (pods.empty()) {
    out << "No pods found.\n";
    return;
  }
  Table table;
  table.Add(
      {"NAMESPACE", "POD", "STATE", "REASON", "MTLS", "CERTIFICATE", "PROBES"});
  for (const Json& pod : pods) {
    const std::string reason = GetString(pod, "reason");
    table.Add({GetString(pod, "namespace"), GetString(pod, "name"),
               GetString(pod, "state", "unknown"),
               reason.empty() ? "-" : reason, Mtls(GetMember(pod, "mtls")),
               Certificate(GetMember(pod, "certificate")), Probes(pod)});
  }
  table.Print(out);
}

std::string Uptime(int64_t seconds) {
  // Abseil writes zero without its unit.
  return seconds == 0 ? "0s" : absl::FormatDuration(absl::Seconds(seconds));
}

void PrintAgent(std::ostream& out, const Json& status) {
  Table table;
  table.Add({"node", StrCat(GetString(status, "node"), ", nodeward ",
                            GetString(status, "version", "unknown"), ", up ",
                            Uptime(GetInt(status, "uptime_seconds")))});
  const std::string why = Joined(GetMember(status, "not_ready"), "; ");
  table.Add({"ready", GetBool(status, "ready")
                          ? "yes"
                          : StrCat("no", why.empty() ? "" : ": ", why)});
  table.Add({"trust domain", GetString(status, "trust_domain")});
  const std::string ca_problem = GetString(status, "ca_problem");
  table.Add({"ca", StrCat(GetString(status, "ca"),
                          ca_problem.empty() ? "" : ": ", ca_problem)});
  const std::string trust = GetString(status, "trust");
  if (!trust.empty()) table.Add({"trust", trust});
  for (const Json& problem : GetMember(status, "trust_problems")) {
    if (problem.is_string()) {
      table.Add({"trust problem", problem.get<std::string>()});
    }
  }
  const Json& kubelet = GetMember(status, "kubelet");
  table.Add(
      {"kubelet", GetBool(kubelet, "found")
                      ? GetString(kubelet, "cgroup")
                      : StrCat("not found: ", GetString(kubelet, "reason"))});
  table.Add({"connections",
             StrCat(GetInt(status, "open_connections"), " open, ",
                    GetInt(status, "tunnels"), " tunnels, ",
                    Bytes(GetInt(status, "buffered_bytes")), " buffered")});
  std::string ignored;
  for (const auto& [kind, count] : GetMember(status, "ignored_kinds").items()) {
    StrAppend(&ignored, ignored.empty() ? "" : ", ", kind, " (", count.dump(),
              ")");
  }
  if (!ignored.empty()) table.Add({"ignored kinds", ignored});
  for (const Json& problem : GetMember(status, "problems")) {
    table.Add({"problem", Problem(problem)});
  }
  table.Print(out);
}

}  // namespace

base::StatusOr<int> ShowStatus(Environment& environment,
                               StatusOptions options) {
  const size_t slash = options.pod.find('/');
  if (slash != std::string::npos) {
    options.name_space = options.pod.substr(0, slash);
    options.pod.erase(0, slash + 1);
  }
  NODEWARD_ASSIGN(const Json status,
                  environment.ask_agent(options.run_dir, "status",
                                        {{"namespace", options.name_space},
                                         {"pod", options.pod}}));
  const Json& pods = GetMember(status, "pods");
  if (!pods.is_array()) {
    return absl::InternalError("the agent's answer has no pods");
  }
  if (options.output == "json") {
    environment.out << status.dump(2, ' ', false,
                                   Json::error_handler_t::replace)
                    << "\n";
  } else {
    PrintPods(environment.out, pods);
    environment.out << "\n";
    PrintAgent(environment.out, status);
  }
  return GetBool(status, "healthy") ? kOk : kProblem;
}

}  // namespace nodeward::cli
