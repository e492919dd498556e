// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

// A command as completion sees it.
struct CommandWords {
  std::string name;  // empty: the options before any command
  std::string help;
  // "--namespace", "-n", and the names of its own commands.
  std::vector<std::string> options;
};

// nodeward completion: prints a script for `shell` (bash, zsh or fish), to be
// sourced by it.
base::StatusOr<int> PrintCompletion(Environment& environment,
                                    const std::string& shell,
                                    const std::vector<CommandWords>& commands);

}  // namespace nodeward::cli
