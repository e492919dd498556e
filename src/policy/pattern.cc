// SPDX-License-Identifier: Apache-2.0
//
// The forms are those of istio's pilot/pkg/security/authz/matcher.
#include "policy/pattern.h"

#include <algorithm>

namespace nodeward::policy {
namespace {

using model::Attribute;

constexpr std::string_view kOne = "{*}";
constexpr std::string_view kAny = "{**}";

bool MatchesGlob(std::string_view pattern, std::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// `pattern` without {**} against the beginning of `text`, which is cut down to
// what follows.
bool MatchesSegments(std::string_view pattern, std::string_view* text) {
  while (!pattern.empty()) {
    if (pattern.starts_with(kOne)) {
      const size_t length = std::min(text->find('/'), text->size());
      if (length == 0) return false;
      text->remove_prefix(length);
      pattern.remove_prefix(kOne.size());
    } else {
      const size_t length = std::min(pattern.find(kOne), pattern.size());
      if (!text->starts_with(pattern.substr(0, length))) return false;
      text->remove_prefix(length);
      pattern.remove_prefix(length);
    }
  }
  return true;
}

// {**} comes once at most and no {*} after it.
bool MatchesTemplate(std::string_view pattern, std::string_view text) {
  const size_t any = pattern.find(kAny);
  if (!MatchesSegments(pattern.substr(0, any), &text)) return false;
  if (any == std::string_view::npos) return text.empty();
  return text.ends_with(pattern.substr(any + kAny.size()));
}

bool IsTemplate(std::string_view value) {
  return value.find(kOne) != std::string_view::npos ||
         value.find(kAny) != std::string_view::npos;
}

}  // namespace

Pattern::Pattern(Attribute attribute, std::string_view value) : text_(value) {
  if (attribute == Attribute::kHost) {
    for (char& c : text_) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
  }
  if (attribute == Attribute::kServiceAccount) return;  // has no wildcards
  if (attribute == Attribute::kPath && IsTemplate(value)) {
    kind_ = Kind::kTemplate;
  } else if (value == "*") {
    const bool header = attribute == Attribute::kHost ||
                        attribute == Attribute::kMethod ||
                        attribute == Attribute::kHeader;
    kind_ = header ? Kind::kPresent : Kind::kNotEmpty;
  } else if (attribute == Attribute::kNamespace) {
    if (value.find('*') != std::string_view::npos) kind_ = Kind::kGlob;
  } else if (value.starts_with('*')) {
    kind_ = Kind::kSuffix;
    text_.erase(0, 1);
  } else if (value.ends_with('*')) {
    kind_ = Kind::kPrefix;
    text_.pop_back();
  }
}

bool Pattern::Matches(std::string_view text) const {
  switch (kind_) {
    case Kind::kExact:
      return text == text_;
    case Kind::kPrefix:
      return text.starts_with(text_);
    case Kind::kSuffix:
      return text.ends_with(text_);
    case Kind::kPresent:
      return true;
    case Kind::kNotEmpty:
      return !text.empty();
    case Kind::kGlob:
      return MatchesGlob(text_, text);
    case Kind::kTemplate:
      return MatchesTemplate(text_, text);
  }
  return false;
}

}  // namespace nodeward::policy
