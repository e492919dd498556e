// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "model/authorization.h"

namespace nodeward::policy {

// One value of a policy's list, made ready to be compared. Of the forms
// "abc", "abc*", "*abc" and "*", which are all that policies have; a '*'
// elsewhere stands for itself, but for namespaces. Paths may be templates.
class Pattern {
 public:
  // `value` as written, for an attribute whose value is text.
  Pattern(model::Attribute attribute, std::string_view value);

  // `text` is present; an absent attribute matches no pattern. A host must be
  // in lower case.
  bool Matches(std::string_view text) const;

  const std::string& text() const { return text_; }

 private:
  enum class Kind : uint8_t {
    kExact,
    kPrefix,
    kSuffix,
    kPresent,  // empty or not
    kNotEmpty,
    kGlob,      // '*': any characters
    kTemplate,  // {*}: one segment, {**}: any characters
  };
  Kind kind_ = Kind::kExact;
  std::string text_;
};

}  // namespace nodeward::policy
