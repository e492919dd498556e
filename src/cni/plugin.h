// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "cni/call.h"
#include "cni/https.h"
#include "cni/kubeconfig.h"
#include "cni/question.h"

namespace nodeward::cni {

// What a call may touch of the world.
struct World {
  // An error: no agent answers.
  std::function<base::StatusOr<Answer>(const std::string& socket,
                                       const Question& question)>
      ask_agent;
  std::function<base::StatusOr<HttpAnswer>(const Kubeconfig& config,
                                           const std::string& target)>
      get;
  std::function<base::StatusOr<std::string>(const std::string& path)> read;
};

struct Outcome {
  int exit_status = 0;
  std::string output;  // for standard output
};

// Answers one call.
//
// ADD of a pod succeeds when the agent says that it is captured, or that it is
// not of the mesh. Where no agent knows: the API server is asked for the pod
// and its namespace; where that does not answer either, the list of namespaces
// that the agent left counts. A pod of the mesh then fails, and so does one of
// which nobody knows; pods of kube-system and of the agent's own namespace
// never do. CHECK goes the same way; DEL always succeeds.
Outcome RunPlugin(const Variables& variables, std::string_view configuration,
                  const World& world);

}  // namespace nodeward::cni
