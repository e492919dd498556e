// SPDX-License-Identifier: Apache-2.0
#include "cni/question.h"

#include <utility>

#include "base/json.h"
#include "base/text.h"

namespace nodeward::cni {
namespace {

using base::Json;
using Kind = Answer::Kind;

constexpr std::pair<Kind, const char*> kKinds[] = {
    {Kind::kCaptured, "captured"},
    {Kind::kOutside, "outside"},
    {Kind::kUnsure, "unsure"},
    {Kind::kRefused, "refused"}};

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string LineOf(const Question& question) {
  Json ips = Json::array();
  for (const auto& ip : question.ips) ips.push_back(ip.ToString());
  return Line({{"ask", question.starts ? "add" : "check"},
               {"netns", question.netns},
               {"container", question.container_id},
               {"namespace", question.name_space},
               {"pod", question.pod},
               {"uid", question.uid},
               {"ips", ips}});
}

std::string LineOf(const Answer& answer) {
  const char* word = "";
  for (const auto& [kind, name] : kKinds) {
    if (kind == answer.kind) word = name;
  }
  return Line({{"answer", word}, {"reason", answer.reason}});
}

base::StatusOr<Question> ReadQuestion(std::string_view line) {
  NODEWARD_ASSIGN(const Json json, base::ParseJson(line));
  Question question;
  const std::string ask = base::GetString(json, "ask");
  if (ask != "add" && ask != "check") {
    return absl::InvalidArgumentError("neither add nor check is asked");
  }
  question.starts = ask == "add";
  question.netns = base::GetString(json, "netns");
  question.container_id = base::GetString(json, "container");
  question.name_space = base::GetString(json, "namespace");
  question.pod = base::GetString(json, "pod");
  question.uid = base::GetString(json, "uid");
  const Json& ips = base::GetMember(json, "ips");
  if (!question.netns.starts_with('/') || question.name_space.empty() ||
      question.pod.empty() || !ips.is_array()) {
    return absl::InvalidArgumentError(
        "netns, namespace, pod and ips are needed");
  }
  for (const Json& ip : ips) {
    if (!ip.is_string()) return absl::InvalidArgumentError("an ip is no text");
    NODEWARD_ASSIGN(const auto address,
                    base::IpAddress::Parse(*ip.get_ptr<const std::string*>()));
    question.ips.push_back(address);
  }
  return question;
}

base::StatusOr<Answer> ReadAnswer(std::string_view line) {
  NODEWARD_ASSIGN(const Json json, base::ParseJson(line));
  const std::string word = base::GetString(json, "answer");
  for (const auto& [kind, name] : kKinds) {
    if (word == name) return Answer{kind, base::GetString(json, "reason")};
  }
  return absl::InvalidArgumentError(
      base::StrCat("answer '", word, "' is not known"));
}

}  // namespace nodeward::cni
