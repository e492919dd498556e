// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

struct CheckOptions {
  std::string run_dir;
  std::string output = "table";           // short or json
  absl::Duration wait;                    // until nothing is an error
  std::optional<ClusterOptions> cluster;  // every node of it, not this one
};

// 1 when something is an error; warnings are none.
base::StatusOr<int> RunCheck(Environment& environment,
                             const CheckOptions& options);

}  // namespace nodeward::cli
