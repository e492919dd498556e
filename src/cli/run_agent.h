// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "agent/config.h"
#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

// nodeward agent: reads the settings and runs an agent until it is told to end.
struct AgentOptions {
  std::string config;  // file; empty: none
  agent::FlagValues flags;
};
base::StatusOr<int> RunAgent(Environment& environment,
                             const AgentOptions& options);

}  // namespace nodeward::cli
