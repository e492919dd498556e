// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/tap.h"

namespace nodeward::cli {

// The options of `nodeward tap`, for the parser. Both are filled by it.
void AddTapOptions(CLI::App* command, std::string* run_dir,
                   TapOptions* options);

}  // namespace nodeward::cli
