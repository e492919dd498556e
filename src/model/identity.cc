// SPDX-License-Identifier: Apache-2.0
#include "model/identity.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace nodeward::model {
namespace {

// SPIFFE-ID sections 2.1 and 2.3.
constexpr size_t kMaxUri = 2048;
constexpr size_t kMaxTrustDomain = 255;
constexpr std::string_view kScheme = "spiffe://";

bool IsSegmentChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

// Upper case is refused although RFC 3986 hosts have no case: two spellings of
// one trust domain must not both pass where text is compared.
bool IsTrustDomain(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTrustDomain &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return IsSegmentChar(c) && !(c >= 'A' && c <= 'Z');
         });
}

bool IsSegment(std::string_view text) {
  return !text.empty() && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), IsSegmentChar);
}

// Not quoted in full: it may be long, and come from a hostile certificate.
std::string Shown(std::string_view uri) {
  std::string shown;
  for (const char c : uri.substr(0, 128)) {
    shown += c >= 0x20 && c < 0x7f ? c : '?';
  }
  if (uri.size() > 128) shown += "…";
  return shown;
}

base::Status Malformed(std::string_view uri, std::string_view cause) {
  return absl::InvalidArgumentError(
      base::StrCat("parse SPIFFE ID '", Shown(uri), "': ", cause));
}

}  // namespace

base::StatusOr<Identity> Identity::ParseSpiffe(std::string_view uri) {
  if (uri.size() > kMaxUri) {
    return Malformed(uri, "longer than 2048 bytes");
  }
  if (!uri.starts_with(kScheme)) {
    return Malformed(uri, "it does not start with spiffe://");
  }
  // td, "ns", namespace, "sa", ServiceAccount
  std::array<std::string_view, 5> parts;
  std::string_view rest = uri.substr(kScheme.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    const size_t slash = rest.find('/');
    if (last != (slash == std::string_view::npos)) {
      return Malformed(uri, "not of the form <trust domain>/ns/<ns>/sa/<sa>");
    }
    parts[i] = rest.substr(0, slash);
    if (!last) rest.remove_prefix(slash + 1);
  }
  if (!IsTrustDomain(parts[0])) {
    return Malformed(uri, "trust domain is not 1-255 of a-z 0-9 . _ -");
  }
  if (parts[1] != "ns" || parts[3] != "sa") {
    return Malformed(uri, "not of the form <trust domain>/ns/<ns>/sa/<sa>");
  }
  if (!IsSegment(parts[2]) || !IsSegment(parts[4])) {
    return Malformed(uri, "namespace or ServiceAccount is not a path segment");
  }
  return Identity{std::string(parts[0]), std::string(parts[2]),
                  std::string(parts[4])};
}

std::string Identity::ToSpiffe() const {
  return base::StrCat(kScheme, ToPrincipal());
}

std::string Identity::ToPrincipal() const {
  return base::StrCat(trust_domain, "/ns/", name_space, "/sa/",
                      service_account);
}

}  // namespace nodeward::model
