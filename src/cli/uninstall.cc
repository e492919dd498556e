// SPDX-License-Identifier: Apache-2.0
#include "cli/uninstall.h"

#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "cli/table.h"

namespace nodeward::cli {

base::StatusOr<int> Uninstall(Environment& environment,
                              const UninstallOptions& options) {
  if (!options.node) {
    environment.err
        << "nodeward uninstall: say what is to be removed: --node "
           "takes every hook, pin, rule and sysctl and the CNI plugin "
           "off this node\n";
    return kUsage;
  }
  const auto agent =
      environment.ask_agent(options.run_dir, "status", base::Json::object());
  if (!absl::IsUnavailable(agent.status())) {
    return absl::FailedPreconditionError(base::StrCat(
        "an agent runs in ", options.run_dir, ": stop it first",
        agent.ok() ? "" : " (", agent.ok() ? "" : agent.status().message(),
        agent.ok() ? "" : ")"));
  }
  // The plugin first: as long as it is called, pods wait for an agent.
  NODEWARD_ASSIGN(std::vector<std::string> removed,
                  environment.remove_plugin(options.conf_dir, options.bin_dir));
  NODEWARD_ASSIGN(const std::vector<std::string> hooks,
                  environment.remove_everything(options.bpf_dir));
  removed.insert(removed.end(), hooks.begin(), hooks.end());
  for (const std::string& line : removed) {
    environment.out << Printable(line) << "\n";
  }
  if (removed.empty()) environment.out << "Nothing to remove.\n";
  return kOk;
}

}  // namespace nodeward::cli
