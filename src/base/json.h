// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/status.h"

namespace nodeward::base {

// nlohmann's value under one name. Built without exceptions: a wrong access
// aborts, so look before you leap (find, is_string) or use the Get* below.
// ordered: output keeps the order in which keys were written.
using Json = nlohmann::ordered_json;

// The parsed text, or where and why it does not parse.
StatusOr<Json> ParseJson(std::string_view text);

// The string (number, bool, object …) at `key` of the object `json`, or the
// fallback when it is absent or of another type.
std::string GetString(const Json& json, std::string_view key,
                      std::string_view fallback = "");
int64_t GetInt(const Json& json, std::string_view key, int64_t fallback = 0);
bool GetBool(const Json& json, std::string_view key, bool fallback = false);
// The member, or a null value that lives for ever.
const Json& GetMember(const Json& json, std::string_view key);

}  // namespace nodeward::base
