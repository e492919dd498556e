// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace nodeward::kernel {

// As RemovePins (kernel/hooks.h), but of PinVersion() nothing.
base::StatusOr<std::vector<std::string>> RemoveOtherPins(
    const std::string& bpf_dir);

}  // namespace nodeward::kernel
