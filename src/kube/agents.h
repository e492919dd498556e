// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "kube/kubeconfig.h"

namespace nodeward::kube {

// What the agent of one node says.
struct AgentAnswer {
  std::string node;
  std::string pod;
  base::StatusOr<base::Json> answer;
};

// Runs `nodeward <words>` in every agent's pod of `name_space`, which prints
// JSON, whatever its exit status; many at a time. By node. An error when the
// agents cannot be found.
base::StatusOr<std::vector<AgentAnswer>> AskAgents(
    ClusterAccess access, const std::string& name_space,
    const std::vector<std::string>& words);

}  // namespace nodeward::kube
