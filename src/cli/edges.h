// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

// nodeward edges: who speaks to whom on this node, and whether it is secured.
struct EdgesOptions {
  std::string run_dir;
  std::string name_space;        // empty: all
  std::string output = "table";  // or wide, json
};
base::StatusOr<int> Edges(Environment& environment,
                          const EdgesOptions& options);

}  // namespace nodeward::cli
