// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/yaml.h"
#include "discovery/field.h"
#include "discovery/metadata.h"

namespace nodeward::discovery {

// One YAML document and what was found wrong in it.
class Document {
 public:
  explicit Document(std::string_view text) {
    auto documents = base::ParseYaml(text);
    EXPECT_TRUE(documents.ok()) << documents.status();
    if (documents.ok() && !documents->empty()) document_ = documents->front();
  }
  Field root() { return Field(document_.value, "", &findings_); }
  const base::Json& value() const { return document_.value; }
  // "pointer: reason" of each, one a line.
  std::string Findings() const {
    std::string text;
    for (const Finding& finding : findings_) {
      text += finding.pointer + ": " + finding.reason + "\n";
    }
    return text;
  }
  Severity worst() const { return Worst(findings_); }

 private:
  base::YamlDocument document_;
  discovery::Findings findings_;
};

}  // namespace nodeward::discovery
