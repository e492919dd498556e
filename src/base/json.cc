// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include "base/text.h"

namespace nodeward::base {

StatusOr<Json> ParseJson(std::string_view text) {
  // Without exceptions the parser tells no position, only that it failed.
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return absl::InvalidArgumentError("parse JSON: not well-formed");
  }
  return json;
}

const Json& GetMember(const Json& json, std::string_view key) {
  static const Json* const kNull = new Json();
  if (!json.is_object()) return *kNull;
  const auto found = json.find(std::string(key));
  return found == json.end() ? *kNull : *found;
}

std::string GetString(const Json& json, std::string_view key,
                      std::string_view fallback) {
  const Json& member = GetMember(json, key);
  return member.is_string() ? *member.get_ptr<const std::string*>()
                            : std::string(fallback);
}

int64_t GetInt(const Json& json, std::string_view key, int64_t fallback) {
  const Json& member = GetMember(json, key);
  return member.is_number_integer() ? member.get<int64_t>() : fallback;
}

bool GetBool(const Json& json, std::string_view key, bool fallback) {
  const Json& member = GetMember(json, key);
  return member.is_boolean() ? member.get<bool>() : fallback;
}

}  // namespace nodeward::base
