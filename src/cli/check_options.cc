// SPDX-License-Identifier: Apache-2.0
#include "cli/check_options.h"

#include "absl/time/time.h"
#include "base/text.h"

namespace nodeward::cli {

void AddCheckOptions(CLI::App* command, std::string* run_dir,
                     CheckFlags* flags) {
  command->footer(
      "Examples:\n"
      "  nodeward check\n"
      "  nodeward check --wait 1m\n"
      "  nodeward check -o short\n"
      "  nodeward check --kubeconfig ~/.kube/config\n"
      "  nodeward check --context production -n nodeward-system -o json\n\n"
      "With --kubeconfig or --context the agents of a cluster are asked, by\n"
      "pods/exec in their pods: whoever may do that needs nothing else.\n"
      "√ is good, ‼ a warning, × an error. The exit status is 1 when there is\n"
      "an error, or an agent that cannot be asked.");
  const auto add = [&](const char* name, std::string* value, const char* help,
                       const char* type) {
    return command->add_option(name, *value, help)->type_name(type);
  };
  add("--run-dir", run_dir,
      "The agent's runDir (environment: NODEWARD_RUN_DIR)", "DIR");
  add("-o,--output", &flags->options.output, "How to print it", "FORMAT")
      ->check(CLI::IsMember({"table", "short", "json"}));
  add("--wait", &flags->wait, "How long to try again while there is an error",
      "DURATION");
  add("--kubeconfig", &flags->cluster.kubeconfig,
      "Check the cluster of this file (those of $KUBECONFIG together, or "
      "~/.kube/config)",
      "FILE");
  add("--context", &flags->cluster.context,
      "Check the cluster of this context of the kubeconfig", "NAME");
  add("-n,--namespace", &flags->cluster.name_space,
      "Where the cluster's agents are (nodeward-system)", "NS");
}

base::StatusOr<int> DispatchCheck(Environment& environment,
                                  const CLI::App& command,
                                  const std::string& run_dir,
                                  CheckFlags& flags) {
  if (!absl::ParseDuration(flags.wait, &flags.options.wait)) {
    return absl::InvalidArgumentError(base::StrCat(
        "--wait ", flags.wait, ": use a duration such as 30s or 5m"));
  }
  flags.options.run_dir = run_dir;
  if (command.count("--kubeconfig") > 0 || command.count("--context") > 0) {
    flags.options.cluster = flags.cluster;
  } else if (command.count("--namespace") > 0) {
    return absl::InvalidArgumentError(
        "--namespace is a cluster's: name it with --kubeconfig or --context");
  }
  return RunCheck(environment, flags.options);
}

}  // namespace nodeward::cli
