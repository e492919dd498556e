// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/environment.h"

namespace nodeward::cli {

// nodeward version
int ShowVersion(Environment& environment);

}  // namespace nodeward::cli
