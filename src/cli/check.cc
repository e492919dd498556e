// SPDX-License-Identifier: Apache-2.0
#include "cli/check.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "admin/check.h"
#include "base/text.h"
#include "cli/table.h"
#include "model/check.h"

namespace nodeward::cli {
namespace {

using base::GetBool;
using base::GetMember;
using base::GetString;
using base::Json;

constexpr absl::Duration kRetry = absl::Milliseconds(500);

// That there is an agent is the first line of its own category, whoever writes
// the others.
Json Answer(Environment& environment, const CheckOptions& options) {
  auto result = environment.ask_agent(options.run_dir, "check", Json::object());
  model::Check line{"agent answers"};
  if (!result.ok()) {
    line.result = model::Check::Result::kError;
    line.error = std::string(result.status().message());
    line.hint = "start it with nodeward agent, or name its runDir by --run-dir";
    return admin::CheckResult({{"nodeward-agent", {std::move(line)}}});
  }
  Json answers = admin::CheckResult({{"nodeward-agent", {line}}});
  for (Json& category : (*result)["categories"]) {
    if (GetString(category, "categoryName") != "nodeward-agent") continue;
    Json checks = answers["categories"][0]["checks"];
    for (const Json& check : GetMember(category, "checks")) {
      checks.push_back(check);
    }
    category["checks"] = std::move(checks);
  }
  return *std::move(result);
}

// Unknown is not all right.
std::string_view Mark(const Json& check) {
  const std::string result = GetString(check, "result", "error");
  if (result == "success") return "√";
  return result == "warning" ? "‼" : "×";
}

void PrintLines(std::ostream& out, std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    const bool item = line.starts_with('\t');
    if (item) line.remove_prefix(1);
    out << (item ? "        " : "    ") << Printable(line) << "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void PrintCategory(std::ostream& out, const Json& category, bool all) {
  bool titled = false;
  for (const Json& check : GetMember(category, "checks")) {
    const std::string_view mark = Mark(check);
    if (mark == "√" && !all) continue;
    if (!std::exchange(titled, true)) {
      const std::string name = Printable(GetString(category, "categoryName"));
      out << name << "\n" << std::string(Width(name), '-') << "\n";
    }
    out << mark << " " << Printable(GetString(check, "description")) << "\n";
    if (mark == "√") continue;
    PrintLines(out, GetString(check, "error"));
    const std::string hint = GetString(check, "hint");
    if (!hint.empty()) out << "    see: " << Printable(hint) << "\n";
  }
  if (titled) out << "\n";
}

void PrintCategories(std::ostream& out, const Json& answer, bool all) {
  for (const Json& category : GetMember(answer, "categories")) {
    PrintCategory(out, category, all);
  }
}

// ---- a cluster ----

// One of the nodes in -o json: {"node","pod","success","error","categories"}.
Json NodeAnswer(const kube::AgentAnswer& agent) {
  Json node{{"node", agent.node},
            {"pod", agent.pod},
            {"success", false},
            {"error", ""},
            {"categories", Json::array()}};
  if (!agent.answer.ok()) {
    node["error"] = std::string(agent.answer.status().message());
    return node;
  }
  node["success"] = GetBool(*agent.answer, "success");
  const Json& categories = GetMember(*agent.answer, "categories");
  if (categories.is_array()) node["categories"] = categories;
  return node;
}

base::StatusOr<Json> ClusterAnswer(Environment& environment,
                                   const ClusterOptions& cluster) {
  NODEWARD_ASSIGN(const auto agents,
                  environment.ask_agents(cluster, {"check", "-o", "json"}));
  bool success = true;
  Json nodes = Json::array();
  for (const kube::AgentAnswer& agent : agents) {
    nodes.push_back(NodeAnswer(agent));
    success = success && GetBool(nodes.back(), "success");
  }
  return Json{{"success", success}, {"nodes", std::move(nodes)}};
}

base::StatusOr<Json> AnswerOf(Environment& environment,
                              const CheckOptions& options) {
  if (!options.cluster.has_value()) return Answer(environment, options);
  return ClusterAnswer(environment, *options.cluster);
}

bool HasWarning(const Json& node) {
  for (const Json& category : GetMember(node, "categories")) {
    for (const Json& check : GetMember(category, "checks")) {
      if (Mark(check) != "√") return true;
    }
  }
  return false;
}

void PrintNode(std::ostream& out, const Json& node, bool all) {
  if (!all && GetBool(node, "success") && !HasWarning(node)) return;
  const std::string name =
      Printable(GetString(node, "node").empty() ? "other nodes"
                                                : GetString(node, "node"));
  out << name << "\n" << std::string(Width(name), '=') << "\n\n";
  const std::string error = GetString(node, "error");
  if (!error.empty()) {
    out << "× agent can be asked\n";
    PrintLines(out, error);
    out << "\n";
  }
  PrintCategories(out, node, all);
}

}  // namespace

base::StatusOr<int> RunCheck(Environment& environment,
                             const CheckOptions& options) {
  const absl::Time deadline = absl::Now() + options.wait;
  base::StatusOr<Json> answer = AnswerOf(environment, options);
  while ((!answer.ok() || !GetBool(*answer, "success")) &&
         absl::Now() < deadline) {
    absl::SleepFor(std::min(kRetry, deadline - absl::Now()));
    answer = AnswerOf(environment, options);
  }
  if (!answer.ok()) return answer.status();
  const bool success = GetBool(*answer, "success");
  if (options.output == "json") {
    environment.out << answer->dump(2, ' ', false,
                                    Json::error_handler_t::replace)
                    << "\n";
    return success ? kOk : kProblem;
  }
  const bool all = options.output != "short";
  if (options.cluster.has_value()) {
    for (const Json& node : GetMember(*answer, "nodes")) {
      PrintNode(environment.out, node, all);
    }
  } else {
    PrintCategories(environment.out, *answer, all);
  }
  environment.out << "Status check results are " << (success ? "√" : "×")
                  << "\n";
  return success ? kOk : kProblem;
}

}  // namespace nodeward::cli
