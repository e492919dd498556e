// SPDX-License-Identifier: Apache-2.0
#include "model/workload.h"

namespace nodeward::model {

bool Selects(const Labels& selector, const Labels& labels) {
  for (const auto& [key, value] : selector) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

std::string_view MembershipText(Membership membership) {
  switch (membership) {
    case Membership::kEnabled:
      return "enabled";
    case Membership::kNotOptedIn:
      return "not opted in";
    case Membership::kHostNetwork:
      return "host network";
    case Membership::kSystem:
      return "system namespace";
    case Membership::kSidecar:
      return "sidecar";
    case Membership::kTerminal:
      return "terminal";
    case Membership::kNotEnrolled:
      return "not enrolled by its node's agent";
    case Membership::kConflict:
      return "address conflict";
  }
  return "unknown";
}

}  // namespace nodeward::model
