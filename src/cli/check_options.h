// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/status.h"
#include "cli/check.h"

namespace nodeward::cli {

// The options of `nodeward check`, as the parser fills them.
struct CheckFlags {
  CheckOptions options;
  ClusterOptions cluster;
  std::string wait = "0s";
};

void AddCheckOptions(CLI::App* command, std::string* run_dir,
                     CheckFlags* flags);

// Runs what was parsed; `command` is the one that was given to
// AddCheckOptions.
base::StatusOr<int> DispatchCheck(Environment& environment,
                                  const CLI::App& command,
                                  const std::string& run_dir,
                                  CheckFlags& flags);

}  // namespace nodeward::cli
