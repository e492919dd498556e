// SPDX-License-Identifier: Apache-2.0
//
// The checks of istio's pkg/config/security/security.go and of the CRD.
#include "discovery/attribute.h"

#include <algorithm>
#include <utility>

#include "base/ip.h"
#include "base/text.h"

namespace nodeward::discovery {
namespace {

using base::StrCat;
using model::Attribute;

constexpr std::string_view kOne = "{*}";
constexpr std::string_view kAny = "{**}";

struct PlainKey {
  std::string_view key;
  Attribute attribute;
};
constexpr PlainKey kPlainKeys[] = {
    {"source.ip", Attribute::kSourceIp},
    {"remote.ip", Attribute::kRemoteIp},
    {"source.namespace", Attribute::kNamespace},
    {"source.serviceAccount", Attribute::kServiceAccount},
    {"source.trustDomain", Attribute::kTrustDomain},
    {"source.principal", Attribute::kPrincipal},
    {"request.auth.principal", Attribute::kRequestPrincipal},
    {"request.auth.audiences", Attribute::kAudience},
    {"request.auth.presenter", Attribute::kPresenter},
    {"destination.ip", Attribute::kDestinationIp},
    {"destination.port", Attribute::kPort},
    {"connection.sni", Attribute::kSni},
};

struct BracketKey {
  std::string_view prefix;
  Attribute attribute;
};
constexpr BracketKey kBracketKeys[] = {
    {"request.headers", Attribute::kHeader},
    {"request.auth.claims", Attribute::kClaim},
    {"experimental.envoy.filters.", Attribute::kEnvoyFilter},
};

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= '0' && c <= '9';
  });
}

std::string PortFlaw(std::string_view value) {
  unsigned number = 0;
  // Leading zeros change nothing, and no number of more digits is a port.
  const size_t first = std::min(value.find_first_not_of('0'), value.size());
  const std::string_view digits = value.substr(first);
  if (IsDigits(value) && digits.size() <= 5) {
    for (const char c : digits) number = number * 10 + unsigned(c - '0');
    if (number <= 65535) return "";
  }
  return StrCat("bad port (", value, "): must be a number, 0 to 65535");
}

std::string BlockFlaw(std::string_view value) {
  const size_t slash = value.find('/');
  const bool digits =
      slash == std::string_view::npos || IsDigits(value.substr(slash + 1));
  // A NUL would end the text early for inet_pton.
  if (digits && value.find('\0') == std::string_view::npos &&
      base::Cidr::Parse(value).ok()) {
    return "";
  }
  return StrCat("bad CIDR (", value, "): must be an IP address or a block");
}

std::string AccountFlaw(std::string_view value) {
  const size_t slash = value.find('/');
  const std::string_view name_space = value.substr(0, slash);
  const std::string_view account = slash == std::string_view::npos
                                       ? std::string_view("x")
                                       : value.substr(slash + 1);
  if (value.find('*') != std::string_view::npos) {
    return StrCat("wildcards are not allowed in a service account (", value,
                  ")");
  }
  if (name_space.empty() || account.empty() ||
      account.find('/') != std::string_view::npos) {
    return StrCat("bad service account (", value,
                  "): must be <namespace>/<serviceAccount> or "
                  "<serviceAccount>");
  }
  if (value.size() > 320) return "longer than 320 characters";
  return "";
}

std::string TrustDomainFlaw(std::string_view value) {
  if (value.find('/') != std::string_view::npos) {
    return StrCat("bad trust domain (", value, "): '/' is not allowed");
  }
  for (size_t i = 1; i + 1 < value.size(); ++i) {
    if (value[i] == '*') {
      return StrCat("bad trust domain (", value,
                    "): a wildcard may stand at an end only");
    }
  }
  if (value.size() > 1 && value.front() == '*' && value.back() == '*') {
    return StrCat("bad trust domain (", value,
                  "): a wildcard may stand at one end only");
  }
  return "";
}

// pchar of RFC 3986 without '*'.
bool IsPlainSegment(std::string_view segment) {
  constexpr std::string_view kMarks = "-._~%!$&'()+,;:@=";
  return !segment.empty() &&
         std::all_of(segment.begin(), segment.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') ||
                  kMarks.find(c) != std::string_view::npos;
         });
}

std::string PathFlaw(std::string_view path) {
  const bool templated = path.find(kOne) != std::string_view::npos ||
                         path.find(kAny) != std::string_view::npos;
  const auto flaw = [&](std::string_view why) {
    return StrCat("invalid or unsupported path ", path, ": ", why);
  };
  std::string_view rest = path;
  while (rest.starts_with('/')) rest.remove_prefix(1);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  bool found_any = false;
  for (bool more = true; more;) {
    const size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    more = slash != std::string_view::npos;
    if (more) rest.remove_prefix(slash + 1);
    if (segment == kOne || segment == kAny) {
      if (found_any) return flaw("{**} is not the last operator");
      found_any = segment == kAny;
      continue;
    }
    if (segment.find_first_of("{}") != std::string_view::npos) {
      return flaw("contains '{' or '}' beyond a supported path template");
    }
    if (templated && !IsPlainSegment(segment)) {
      return flaw(
          StrCat("contains segment ", segment, " with invalid string literal"));
    }
  }
  return "";
}

}  // namespace

ConditionKey ReadConditionKey(std::string_view key) {
  for (const PlainKey& known : kPlainKeys) {
    if (key == known.key) return {known.attribute, "", ""};
  }
  for (const BracketKey& known : kBracketKeys) {
    if (!key.starts_with(known.prefix)) continue;
    const size_t open = key.find('[');
    const bool whole = known.attribute == Attribute::kEnvoyFilter ||
                       open == known.prefix.size();
    if (open == std::string_view::npos || !whole || !key.ends_with(']') ||
        open + 2 >= key.size()) {
      return {known.attribute, "",
              StrCat("bad key (", key, "): should have format a[b]")};
    }
    std::string name(key.substr(open + 1, key.size() - open - 2));
    if (known.attribute == Attribute::kHeader) {
      for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      }
    }
    return {known.attribute, std::move(name), ""};
  }
  return {Attribute::kPrincipal, "", StrCat("unknown attribute: ", key)};
}

std::string ValueFlaw(Attribute attribute, std::string_view value) {
  if (value.empty()) return "empty value not allowed";
  switch (attribute) {
    case Attribute::kSourceIp:
    case Attribute::kRemoteIp:
    case Attribute::kDestinationIp:
      return BlockFlaw(value);
    case Attribute::kPort:
      return PortFlaw(value);
    case Attribute::kServiceAccount:
      return AccountFlaw(value);
    case Attribute::kTrustDomain:
      return TrustDomainFlaw(value);
    case Attribute::kPath:
      return PathFlaw(value);
    default:
      return "";
  }
}

}  // namespace nodeward::discovery
