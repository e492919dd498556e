// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ca/config.h"

namespace nodeward::ca {

// Runs a CA until SIGTERM or SIGINT, then drains. Returns the exit status: 0
// after an orderly end, 1 when it could not start (the reason is in the log).
int Run(const Config& config);

}  // namespace nodeward::ca
