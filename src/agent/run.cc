// SPDX-License-Identifier: Apache-2.0
#include "agent/run.h"

#include "agent/agent.h"
#include "base/log.h"

namespace nodeward::agent {

int Run(const Config& config) {
  base::ConfigureLog(config.log_level, config.log_format);
  auto agent = Agent::Start(config);
  if (!agent.ok()) {
    base::LogError("agent did not start",
                   {{"reason", std::string(agent.status().message())}});
    return 1;
  }
  const base::Status ended = (*agent)->Run();
  if (ended.ok()) return 0;
  base::LogError("agent gave up", {{"reason", std::string(ended.message())}});
  return 1;
}

}  // namespace nodeward::agent
