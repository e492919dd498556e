// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox_info.h"

#include "base/json.h"

namespace nodeward::cri {

base::StatusOr<std::string> NetnsOfInfo(std::string_view info) {
  NODEWARD_ASSIGN(const base::Json root, base::ParseJson(info));
  const base::Json& namespaces = base::GetMember(
      base::GetMember(base::GetMember(root, "runtimeSpec"), "linux"),
      "namespaces");
  if (!namespaces.is_array()) {
    return absl::InvalidArgumentError(
        "read sandbox: its verbose status has no /runtimeSpec/linux/namespaces "
        "(containerd and CRI-O tell it)");
  }
  for (const base::Json& each : namespaces) {
    if (base::GetString(each, "type") != "network") continue;
    const std::string path = base::GetString(each, "path");
    if (!path.starts_with('/')) {
      return absl::InvalidArgumentError(
          "read sandbox: its network namespace has no absolute path");
    }
    return path;
  }
  return std::string();
}

}  // namespace nodeward::cri
