// SPDX-License-Identifier: Apache-2.0
#include "ca/object_name.h"

#include <algorithm>

#include "base/text.h"

namespace nodeward::ca {
namespace {

constexpr size_t kLongest = 253;

// RFC 1123; `dots`: a subdomain rather than a label.
bool IsName(std::string_view text, bool dots) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= kLongest && plain(text.front()) &&
         plain(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return plain(c) || c == '-' || (dots && c == '.');
         });
}

}  // namespace

base::StatusOr<ObjectName> ParseObjectName(std::string_view text) {
  const size_t slash = std::min(text.find('/'), text.size());
  const std::string_view name_space = text.substr(0, slash);
  const std::string_view name = text.substr(std::min(slash + 1, text.size()));
  if (!IsName(name_space, false) || !IsName(name, true)) {
    return absl::InvalidArgumentError(
        base::StrCat("'", text, "' is not NAMESPACE/NAME"));
  }
  return ObjectName{std::string(name_space), std::string(name)};
}

}  // namespace nodeward::ca
