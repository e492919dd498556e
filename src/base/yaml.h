// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace nodeward::base {

// One document of a YAML stream as a JSON value, with the line of every node.
struct YamlDocument {
  Json value;
  int line = 1;  // 1-based, where the document starts in its file
  // JSON pointer ("/spec/ports/0/port") -> 1-based line.
  std::unordered_map<std::string, int> lines;

  // The line of `pointer`, else that of its nearest known ancestor.
  int LineOf(std::string_view pointer) const;
};

// Plain scalars become null, bool, integer or float as the YAML 1.2 core
// schema says, quoted ones strings. Duplicate keys, anchors that explode and
// nesting deeper than 64 are errors. Empty documents are left out. An error
// reads "line L, column C: reason".
StatusOr<std::vector<YamlDocument>> ParseYaml(std::string_view text);

}  // namespace nodeward::base
