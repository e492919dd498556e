// SPDX-License-Identifier: Apache-2.0
#include "policy/question.h"

#include <string_view>

#include "base/text.h"

namespace nodeward::policy {
namespace {

using base::Json;
using base::StrCat;

base::Status Wrong(std::string_view key, std::string_view why) {
  return absl::InvalidArgumentError(StrCat("question: ", key, " ", why));
}

base::Status ReadText(std::string_view key, const Json& value,
                      std::string* text) {
  const auto* found = value.get_ptr<const std::string*>();
  if (found == nullptr) return Wrong(key, "must be a string");
  *text = *found;
  return base::OkStatus();
}

base::Status ReadFrom(const Json& value, Question* question) {
  std::string text;
  NODEWARD_TRY(ReadText("from", value, &text));
  if (text == "none") return base::OkStatus();
  const bool spelt = text.starts_with("spiffe://");
  auto identity =
      model::Identity::ParseSpiffe(spelt ? text : "spiffe://" + text);
  if (!identity.ok()) {
    return Wrong("from", StrCat("must be <trust domain>/ns/<namespace>/sa/"
                                "<service account> or none, not '",
                                text, "'"));
  }
  question->from = *std::move(identity);
  return base::OkStatus();
}

base::Status ReadTo(const Json& value, Question* question) {
  std::string text;
  NODEWARD_TRY(ReadText("to", value, &text));
  const size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size() ||
      text.find('/', slash + 1) != std::string::npos) {
    return Wrong(
        "to", StrCat("must be <namespace>/<pod or service>, not '", text, "'"));
  }
  question->name_space = text.substr(0, slash);
  question->name = text.substr(slash + 1);
  return base::OkStatus();
}

base::Status ReadPort(const Json& value, Question* question) {
  const auto* number = value.get_ptr<const int64_t*>();
  if (number == nullptr || *number < 1 || *number > 65535) {
    return Wrong("port", "must be a number, 1 to 65535");
  }
  question->port = static_cast<uint16_t>(*number);
  return base::OkStatus();
}

base::Status ReadHeaders(const Json& value, Question* question) {
  if (!value.is_object()) return Wrong("headers", "must be an object");
  for (const auto& [key, item] : value.items()) {
    std::string name = key;
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    // Several lines of one name come as a list.
    const Json list = item.is_array() ? item : Json::array({item});
    for (const Json& one : list) {
      std::string text;
      NODEWARD_TRY(ReadText(StrCat("header ", key), one, &text));
      if (name == "host" || name == ":authority") {
        question->host = text;
        continue;
      }
      question->headers.emplace_back(name, std::move(text));
    }
  }
  return base::OkStatus();
}

base::Status ReadMember(std::string_view key, const Json& value,
                        Question* question) {
  if (key == "from") return ReadFrom(value, question);
  if (key == "to") return ReadTo(value, question);
  if (key == "port") return ReadPort(value, question);
  if (key == "headers") return ReadHeaders(value, question);
  if (key == "method") return ReadText(key, value, &question->method);
  if (key == "path") return ReadText(key, value, &question->path);
  if (key == "host") return ReadText(key, value, &question->host);
  if (key == "sni") return ReadText(key, value, &question->sni);
  std::string text;
  NODEWARD_TRY(ReadText(key, value, &text));
  if (key == "fromIp") {
    const auto address = base::IpAddress::Parse(text);
    if (!address.ok()) return Wrong(key, "must be an IP address");
    question->from_ip = *address;
    return base::OkStatus();
  }
  if (key == "protocol") {
    if (text != "http" && text != "tcp") {
      return Wrong(key, "must be http or tcp");
    }
    return base::OkStatus();
  }
  return Wrong(key, "is not known");
}

}  // namespace

base::StatusOr<Question> ReadQuestion(const Json& json) {
  if (!json.is_object()) {
    return absl::InvalidArgumentError("question: must be a JSON object");
  }
  Question question;
  bool told = false;
  for (const auto& [key, value] : json.items()) {
    if (key == "id" || value.is_null()) continue;
    NODEWARD_TRY(ReadMember(key, value, &question));
    told = told || key == "method" || key == "path" || key == "host" ||
           key == "headers";
  }
  for (const char* required : {"from", "to"}) {
    if (base::GetMember(json, required).is_null()) {
      return Wrong(required, "is required");
    }
  }
  const std::string protocol = base::GetString(json, "protocol");
  question.http = protocol.empty() ? told : protocol == "http";
  return question;
}

}  // namespace nodeward::policy
