// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

// nodeward status: why is my pod (not) in the mesh, and how is the agent?
// kProblem when a pod shown is pending or failed, or a problem in the source
// closes something.
struct StatusOptions {
  std::string run_dir;
  std::string name_space;        // empty: all
  std::string pod;               // empty: all; also "<namespace>/<pod>"
  std::string output = "table";  // or json
};
base::StatusOr<int> ShowStatus(Environment& environment, StatusOptions options);

}  // namespace nodeward::cli
