// SPDX-License-Identifier: Apache-2.0
#include "model/policy.h"

namespace nodeward::model {

std::string_view MtlsModeText(MtlsMode mode) {
  switch (mode) {
    case MtlsMode::kUnset:
      return "UNSET";
    case MtlsMode::kDisable:
      return "DISABLE";
    case MtlsMode::kPermissive:
      return "PERMISSIVE";
    case MtlsMode::kStrict:
      return "STRICT";
  }
  return "UNKNOWN";
}

bool ClosingPolicy::Concerns(const Workload& workload) const {
  return (mesh_wide || name_space == workload.name_space) &&
         Selects(selector, workload.labels);
}

}  // namespace nodeward::model
