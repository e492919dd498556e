// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "cli/environment.h"

namespace nodeward::cli {

// nodeward uninstall: takes everything of nodeward off this node's kernel and
// its CNI folders, and tells what it was. Refuses while an agent runs, which
// would go on without its hooks.
struct UninstallOptions {
  std::string run_dir;
  bool node = false;
  std::string bpf_dir;
  std::string conf_dir;  // of the CNI plugin
  std::string bin_dir;
};
base::StatusOr<int> Uninstall(Environment& environment,
                              const UninstallOptions& options);

}  // namespace nodeward::cli
