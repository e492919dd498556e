// SPDX-License-Identifier: Apache-2.0
#include "cli/run_agent.h"

namespace nodeward::cli {

base::StatusOr<int> RunAgent(Environment& environment,
                             const AgentOptions& options) {
  NODEWARD_ASSIGN(const agent::Config config,
                  agent::LoadConfig(options.config, options.flags));
  return environment.run_agent(config);
}

}  // namespace nodeward::cli
