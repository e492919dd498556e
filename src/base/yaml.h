// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
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
  // JSON pointer ("/spec/ports/0/port") -> 1-based line: of a member's key, of
  // an item's first character. What an alias stands for is not listed.
  std::unordered_map<std::string, int> lines;

  // The line of `pointer`, else that of its nearest known ancestor.
  int LineOf(std::string_view pointer) const;
};

// Appends "/<key>" to a JSON pointer, "~" and "/" in `key` escaped.
void AppendPointer(std::string* pointer, std::string_view key);

// Does the line at the start of `text` begin a document: "---" and white space,
// or nothing more?
bool StartsYamlDocument(std::string_view text);

// Plain scalars become null, bool, integer or float as the YAML 1.2 core
// schema says, quoted ones strings; keys are always strings; "<<" merges. Text
// that starts with '{' is read as JSON if it is that. Duplicate keys, anchors
// that explode, nesting deeper than 64, control characters, text that is not
// UTF-8 and tags other than the core ones are errors. Empty documents are left
// out. An error reads "line L, column C: reason".
StatusOr<std::vector<YamlDocument>> ParseYaml(std::string_view text);

// The same, a document at a time, so that not all are in memory at once: `each`
// gets every document that ends before an error.
Status ParseYaml(std::string_view text,
                 const std::function<void(YamlDocument)>& each);

}  // namespace nodeward::base
