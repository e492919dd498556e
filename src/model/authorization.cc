// SPDX-License-Identifier: Apache-2.0
#include "model/authorization.h"

#include <algorithm>

namespace nodeward::model {

std::string_view AttributeText(Attribute attribute) {
  switch (attribute) {
    case Attribute::kPrincipal:
      return "principals";
    case Attribute::kNamespace:
      return "namespaces";
    case Attribute::kServiceAccount:
      return "serviceAccounts";
    case Attribute::kTrustDomain:
      return "trustDomains";
    case Attribute::kSourceIp:
      return "ipBlocks";
    case Attribute::kRemoteIp:
      return "remoteIpBlocks";
    case Attribute::kDestinationIp:
      return "destination.ip";
    case Attribute::kPort:
      return "ports";
    case Attribute::kSni:
      return "connection.sni";
    case Attribute::kEnvoyFilter:
      return "experimental.envoy.filters";
    case Attribute::kHost:
      return "hosts";
    case Attribute::kMethod:
      return "methods";
    case Attribute::kPath:
      return "paths";
    case Attribute::kHeader:
      return "request.headers";
    case Attribute::kRequestPrincipal:
      return "requestPrincipals";
    case Attribute::kAudience:
      return "request.auth.audiences";
    case Attribute::kPresenter:
      return "request.auth.presenter";
    case Attribute::kClaim:
      return "request.auth.claims";
  }
  return "unknown";
}

bool AsksForHttp(const AttributeTests& tests) {
  return std::any_of(tests.begin(), tests.end(), [](const AttributeTest& test) {
    return IsHttp(test.attribute);
  });
}

bool AsksForHttp(const AuthorizationRule& rule) {
  for (const auto* list : {&rule.from, &rule.to}) {
    for (const AttributeTests& tests : *list) {
      if (AsksForHttp(tests)) return true;
    }
  }
  return AsksForHttp(rule.when);
}

std::string_view ActionText(AuthorizationPolicy::Action action) {
  switch (action) {
    case AuthorizationPolicy::Action::kAllow:
      return "ALLOW";
    case AuthorizationPolicy::Action::kDeny:
      return "DENY";
    case AuthorizationPolicy::Action::kAudit:
      return "AUDIT";
    case AuthorizationPolicy::Action::kCustom:
      return "CUSTOM";
  }
  return "UNKNOWN";
}

bool AuthorizationPolicy::Concerns(const Workload& workload) const {
  return !targeted && (mesh_wide || name_space == workload.name_space) &&
         Selects(selector, workload.labels);
}

std::string_view PathNormalizationText(PathNormalization mode) {
  switch (mode) {
    case PathNormalization::kNone:
      return "NONE";
    case PathNormalization::kBase:
      return "BASE";
    case PathNormalization::kMergeSlashes:
      return "MERGE_SLASHES";
    case PathNormalization::kDecodeAndMerge:
      return "DECODE_AND_MERGE_SLASHES";
  }
  return "UNKNOWN";
}

bool ParsePathNormalization(std::string_view text, PathNormalization* mode) {
  for (const PathNormalization known :
       {PathNormalization::kNone, PathNormalization::kBase,
        PathNormalization::kMergeSlashes, PathNormalization::kDecodeAndMerge}) {
    if (text != PathNormalizationText(known)) continue;
    *mode = known;
    return true;
  }
  return false;
}

}  // namespace nodeward::model
