// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/time/time.h"
#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

struct CheckOptions {
  std::string run_dir;
  std::string output = "table";  // short or json
  absl::Duration wait;           // until nothing is an error
};

// 1 when something is an error; warnings are none.
base::StatusOr<int> CheckNode(Environment& environment,
                              const CheckOptions& options);

}  // namespace nodeward::cli
