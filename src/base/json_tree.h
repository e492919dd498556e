// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/status.h"
#include "base/yaml.h"

namespace nodeward::base {

// JSON text as a document with lines. An error reads "line L, column 1:
// reason"; duplicate keys and nesting deeper than 64 are errors.
StatusOr<YamlDocument> ParseJsonTree(std::string_view text);

}  // namespace nodeward::base
