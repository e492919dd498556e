// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

// nodeward in-charge: is it the agent of this container that answers at the
// control socket?
base::StatusOr<int> InCharge(Environment& environment,
                             const std::string& run_dir);

}  // namespace nodeward::cli
