// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/workload.h"

namespace nodeward::model {

// What a rule of an AuthorizationPolicy looks at. Fields of `source` and
// `operation` and keys of `when` that ask the same thing are one attribute.
enum class Attribute {
  kPrincipal,       // "<trust domain>/ns/<ns>/sa/<sa>"
  kNamespace,       // of the source
  kServiceAccount,  // "<ns>/<sa>"
  kTrustDomain,     // of the source
  kSourceIp,        // IP or block
  kRemoteIp,        // IP or block; the packet's source, too
  kDestinationIp,   // IP or block
  kPort,            // "0" … "65535", the workload's
  kSni,
  kEnvoyFilter,  // dynamic metadata, which nobody sets here: always absent
  // From here on of HTTP requests only.
  kHost,
  kMethod,
  kPath,
  kHeader,  // `name` says which
  // From a verified JWT, which nobody verifies here: always absent.
  kRequestPrincipal,
  kAudience,
  kPresenter,
  kClaim,
};
// "principals", "request.headers" …: for messages.
std::string_view AttributeText(Attribute attribute);
inline bool IsHttp(Attribute attribute) {
  return attribute >= Attribute::kHost;
}

// One attribute against its lists: one of `values` (if there are any) and none
// of `not_values`.
struct AttributeTest {
  Attribute attribute = Attribute::kPrincipal;
  std::string name;  // kHeader: the header's, in lower case
  std::vector<std::string> values;
  std::vector<std::string> not_values;

  friend bool operator==(const AttributeTest&, const AttributeTest&) = default;
};

// All of them must hold.
using AttributeTests = std::vector<AttributeTest>;

// Holds when one of `from` (if there are any), one of `to` (if there are any)
// and all of `when` do.
struct AuthorizationRule {
  std::vector<AttributeTests> from;
  std::vector<AttributeTests> to;
  AttributeTests when;

  friend bool operator==(const AuthorizationRule&,
                         const AuthorizationRule&) = default;
};

// Does it ask for an attribute that only HTTP requests have?
bool AsksForHttp(const AttributeTests& tests);
bool AsksForHttp(const AuthorizationRule& rule);

// A security.istio.io AuthorizationPolicy as written, found valid.
struct AuthorizationPolicy {
  enum class Action { kAllow, kDeny, kAudit, kCustom };

  std::string name;
  std::string name_space;
  int64_t created = 0;  // seconds since the epoch; 0: not told
  Action action = Action::kAllow;
  Labels selector;         // empty: every workload of its scope
  bool targeted = false;   // has targetRefs: for waypoints, for no pod
  bool dry_run = false;    // is looked at, decides nothing
  bool mesh_wide = false;  // it lies in the root namespace
  std::string provider;    // of kCustom
  std::vector<AuthorizationRule> rules;
  std::string file;  // where it stands; may be empty
  int line = 0;

  std::string QualifiedName() const { return name_space + "/" + name; }
  // Is `workload` in its scope?
  bool Concerns(const Workload& workload) const;

  friend bool operator==(const AuthorizationPolicy&,
                         const AuthorizationPolicy&) = default;
};
std::string_view ActionText(AuthorizationPolicy::Action action);  // "ALLOW" …

// How request paths are made comparable before policies see them, and before
// they are passed on (meshConfig.pathNormalization).
enum class PathNormalization { kNone, kBase, kMergeSlashes, kDecodeAndMerge };
// "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES".
std::string_view PathNormalizationText(PathNormalization mode);
// False: no such mode.
bool ParsePathNormalization(std::string_view text, PathNormalization* mode);

}  // namespace nodeward::model
