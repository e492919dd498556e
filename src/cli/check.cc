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

}  // namespace

base::StatusOr<int> CheckNode(Environment& environment,
                              const CheckOptions& options) {
  const absl::Time deadline = absl::Now() + options.wait;
  Json answer = Answer(environment, options);
  while (!GetBool(answer, "success") && absl::Now() < deadline) {
    absl::SleepFor(std::min(kRetry, deadline - absl::Now()));
    answer = Answer(environment, options);
  }
  const bool success = GetBool(answer, "success");
  if (options.output == "json") {
    environment.out << answer.dump(2, ' ', false,
                                   Json::error_handler_t::replace)
                    << "\n";
    return success ? kOk : kProblem;
  }
  for (const Json& category : GetMember(answer, "categories")) {
    PrintCategory(environment.out, category, options.output != "short");
  }
  environment.out << "Status check results are " << (success ? "√" : "×")
                  << "\n";
  return success ? kOk : kProblem;
}

}  // namespace nodeward::cli
