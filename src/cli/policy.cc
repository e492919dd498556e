// SPDX-License-Identifier: Apache-2.0
#include "cli/policy.h"

#include <fstream>
#include <functional>
#include <iostream>
#include <utility>

#include "base/text.h"
#include "cli/table.h"
#include "discovery/once.h"
#include "policy/answer.h"
#include "policy/lint.h"
#include "policy/question.h"

namespace nodeward::cli {
namespace {

using base::GetInt;
using base::GetMember;
using base::GetString;
using base::Json;
using base::StrCat;

std::string Dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

base::StatusOr<model::SnapshotPtr> ReadSnapshot(
    const ManifestsOptions& options) {
  discovery::ManifestOptions manifests;
  manifests.directory = options.path;
  manifests.trust_domain = options.trust_domain;
  manifests.trust_domain_aliases = options.trust_domain_aliases;
  manifests.federated_trust_domains = options.federated_trust_domains;
  manifests.root_namespace = options.root_namespace;
  if (!model::ParsePathNormalization(options.path_normalization,
                                     &manifests.path_normalization)) {
    return absl::InvalidArgumentError(
        StrCat("no path normalization '", options.path_normalization, "'"));
  }
  return discovery::ReadOnce(std::move(manifests));
}

using Oracle = std::function<base::StatusOr<Json>(const Json& question)>;

// Whom to ask: the manifests, read once, or the agent.
base::StatusOr<Oracle> FindOracle(Environment& environment,
                                  const PolicyTestOptions& options) {
  if (options.manifests.path.empty()) {
    return Oracle([&environment, &options](const Json& question) {
      return environment.ask_agent(options.run_dir, "policy-test", question);
    });
  }
  NODEWARD_ASSIGN(model::SnapshotPtr snapshot, ReadSnapshot(options.manifests));
  return Oracle([snapshot](const Json& json) -> base::StatusOr<Json> {
    NODEWARD_ASSIGN(const auto question, policy::ReadQuestion(json));
    return policy::AnswerQuestion(*snapshot, question);
  });
}

base::StatusOr<Json> QuestionOf(const PolicyTestOptions& options) {
  Json question = Json::object();
  question["from"] = options.from;
  question["to"] = options.to;
  const auto put = [&](const char* key, const std::string& text) {
    if (!text.empty()) question[key] = text;
  };
  put("fromIp", options.from_ip);
  put("protocol", options.protocol);
  put("sni", options.sni);
  if (options.port.has_value()) question["port"] = *options.port;
  if (options.method.has_value()) question["method"] = *options.method;
  if (options.path.has_value()) question["path"] = *options.path;
  if (options.host.has_value()) question["host"] = *options.host;
  for (const std::string& header : options.headers) {
    const size_t equals = header.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          StrCat("--header ", header, ": must be name=value"));
    }
    Json& values = question["headers"][header.substr(0, equals)];
    if (values.is_null()) values = Json::array();
    values.push_back(header.substr(equals + 1));
  }
  return question;
}

// "mtls-test/deny, rule 0".
std::string PolicyAndRule(const Json& answer) {
  const std::string policy = GetString(answer, "policy");
  if (policy.empty()) return "none: the default";
  if (!GetMember(answer, "rule").is_number()) return policy;
  return StrCat(policy, ", rule ", GetInt(answer, "rule"));
}

void PrintAnswer(std::ostream& out, const std::string& from,
                 const Json& answer) {
  Table table;
  table.Add({GetString(answer, "verdict"), ""});
  table.Add({"from", from});
  table.Add({"to", StrCat(GetString(answer, "to"), " port ",
                          GetInt(answer, "port"))});
  table.Add({"policy", PolicyAndRule(answer)});
  const std::string reason = GetString(answer, "reason");
  if (!reason.empty()) table.Add({"reason", reason});
  table.Add({"layer", GetString(answer, "layer")});
  const std::string origin = GetString(answer, "mtlsPolicy");
  table.Add({"mtls", StrCat(GetString(answer, "mtls"), " (",
                            origin.empty() ? "the default" : origin, ")")});
  for (const Json& each : GetMember(answer, "ignored")) {
    table.Add({"ignored",
               StrCat(GetString(each, "kind"), " ", GetString(each, "policy"),
                      ": ", GetString(each, "reason"))});
  }
  for (const Json& note : GetMember(answer, "notes")) {
    if (note.is_string()) table.Add({"note", note.get<std::string>()});
  }
  table.Print(out);
}

base::StatusOr<int> AskOne(Environment& environment, const Oracle& oracle,
                           const PolicyTestOptions& options) {
  NODEWARD_ASSIGN(const Json question, QuestionOf(options));
  NODEWARD_ASSIGN(const Json answer, oracle(question));
  if (options.output == "json") {
    environment.out << Dump(answer, 2) << "\n";
  } else {
    PrintAnswer(environment.out, options.from, answer);
  }
  // Only what says so is allowed.
  return GetString(answer, "verdict") == "ALLOW" ? kOk : kDenied;
}

// The line that answers `text`; `*ok` becomes false when nothing can.
Json AnswerLine(const Oracle& oracle, const std::string& text, bool* ok) {
  const auto question = base::ParseJson(text);
  Json line = Json::object();
  const Json& id = question.ok() ? GetMember(*question, "id") : Json();
  if (!id.is_null()) line["id"] = id;
  const base::StatusOr<Json> answer =
      question.ok() ? oracle(*question) : question.status();
  if (!answer.ok()) {
    line["error"] = std::string(answer.status().message());
    *ok = false;
    return line;
  }
  for (const char* key :
       {"verdict", "layer", "policy", "rule", "mtls", "ignored"}) {
    line[key] = GetMember(*answer, key);
  }
  return line;
}

base::StatusOr<int> AskBatch(Environment& environment, const Oracle& oracle,
                             const std::string& file) {
  std::ifstream stream;
  if (file != "-") {
    stream.open(file);
    if (!stream.is_open()) {
      return absl::NotFoundError(StrCat("cannot read ", file));
    }
  }
  std::istream& lines = file == "-" ? std::cin : stream;
  bool ok = true;
  std::string text;
  while (std::getline(lines, text)) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    environment.out << Dump(AnswerLine(oracle, text, &ok)) << "\n";
  }
  return ok ? kOk : kProblem;
}

void PrintFinding(std::ostream& out, const model::Problem& problem) {
  const std::string_view severity = problem.flaw ? "error" : "warning";
  model::Problem shown = problem;
  shown.object = StrCat(severity, ": ", problem.object);
  if (problem.object.empty()) shown.object = severity;
  out << Printable(shown.ToString()) << "\n";
}

Json FindingJson(const model::Problem& problem) {
  return {{"severity", problem.flaw ? "error" : "warning"},
          {"file", problem.file},
          {"line", problem.line},
          {"object", problem.object},
          {"reason", problem.reason}};
}

}  // namespace

base::StatusOr<int> PolicyTest(Environment& environment,
                               const PolicyTestOptions& options) {
  NODEWARD_ASSIGN(const Oracle oracle, FindOracle(environment, options));
  if (!options.batch.empty()) {
    return AskBatch(environment, oracle, options.batch);
  }
  return AskOne(environment, oracle, options);
}

base::StatusOr<int> PolicyLint(Environment& environment,
                               const PolicyLintOptions& options) {
  NODEWARD_ASSIGN(const model::SnapshotPtr snapshot,
                  ReadSnapshot(options.manifests));
  std::vector<model::Problem> findings = snapshot->problems;
  for (model::Problem& problem : policy::Lint(*snapshot)) {
    findings.push_back(std::move(problem));
  }
  int errors = 0;
  Json list = Json::array();
  for (const model::Problem& problem : findings) {
    if (problem.flaw) ++errors;
    list.push_back(FindingJson(problem));
  }
  if (options.output == "json") {
    const Json result = {{"acceptable", errors == 0}, {"findings", list}};
    environment.out << Dump(result, 2) << "\n";
    return errors == 0 ? kOk : kProblem;
  }
  for (const bool flaw : {true, false}) {
    for (const model::Problem& problem : findings) {
      if (problem.flaw == flaw) PrintFinding(environment.out, problem);
    }
  }
  environment.out << StrCat(errors, " errors, ", findings.size() - errors,
                            " warnings\n");
  return errors == 0 ? kOk : kProblem;
}

}  // namespace nodeward::cli
