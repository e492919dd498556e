// SPDX-License-Identifier: Apache-2.0
#include "ca/caller.h"

#include <algorithm>
#include <string_view>

namespace nodeward::ca {
namespace {

constexpr std::string_view kPrefix = "system:serviceaccount:";
constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxSubdomain = 253;

bool IsLabel(std::string_view text) {
  const auto inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !text.empty() && text.size() <= kMaxLabel && text.front() != '-' &&
         text.back() != '-' && std::all_of(text.begin(), text.end(), inner);
}

// DNS-1123: a namespace is a label, a ServiceAccount labels between dots.
bool IsSubdomain(std::string_view text) {
  if (text.size() > kMaxSubdomain) return false;
  while (true) {
    const size_t dot = text.find('.');
    if (!IsLabel(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

}  // namespace

base::StatusOr<Caller> ParseUsername(std::string_view username) {
  if (username.starts_with(kPrefix)) {
    const std::string_view rest = username.substr(kPrefix.size());
    const size_t colon = rest.find(':');
    if (colon != std::string_view::npos && IsLabel(rest.substr(0, colon)) &&
        IsSubdomain(rest.substr(colon + 1))) {
      Caller caller;
      caller.name_space = rest.substr(0, colon);
      caller.service_account = rest.substr(colon + 1);
      return caller;
    }
  }
  return absl::UnauthenticatedError(
      "the token is not a ServiceAccount's (its user is not "
      "system:serviceaccount:<namespace>:<account>)");
}

}  // namespace nodeward::ca
