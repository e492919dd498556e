// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace nodeward::cri {

// The path of the network namespace in `info`, the verbose status of a sandbox
// (JSON; containerd and CRI-O put the OCI specification under runtimeSpec).
// Empty: the sandbox is in the node's own. InvalidArgument: it does not say.
base::StatusOr<std::string> NetnsOfInfo(std::string_view info);

}  // namespace nodeward::cri
