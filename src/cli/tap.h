// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

// nodeward tap: requests and answers of this node's pods, as they pass.
struct TapOptions {
  std::string run_dir;
  std::string resource;    // deploy/NAME, pod/NAME, svc/NAME, ns/NAME, NAME
  std::string name_space;  // empty: all
  std::string to, to_namespace;
  std::string method, path, authority;
  int max_rps = 100;
  std::string output = "lines";  // or wide, json
};
base::StatusOr<int> Tap(Environment& environment, const TapOptions& options);

}  // namespace nodeward::cli
