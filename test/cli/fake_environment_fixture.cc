// SPDX-License-Identifier: Apache-2.0
#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {

FakeEnvironment::FakeEnvironment()
    : environment_{
          .out = out_,
          .err = err_,
          .run_dir = "/run/fake",
          .run_agent =
              [this](const agent::Config& config) {
                ran = config;
                return agent_status;
              },
          .run_ca =
              [this](const ca::Config& config) {
                ran_ca = config;
                return 0;
              },
          .ask_agent =
              [this](
                  const std::string& run_dir, const std::string& command,
                  const base::Json& arguments) -> base::StatusOr<base::Json> {
            asked_run_dir = run_dir;
            asked_command = command;
            asked_arguments = arguments;
            const auto answer = answers.find(command);
            if (answer != answers.end()) return answer->second;
            return absl::UnavailableError("agent is not running?");
          },
          .ask_agents =
              [this](const ClusterOptions& cluster,
                     const std::vector<std::string>& words) {
                asked_cluster = cluster;
                asked_words = words;
                return agents;
              },
          .follow_agent =
              [this](const std::string& run_dir, const std::string& command,
                     const base::Json& arguments,
                     const std::function<bool(const base::Json&)>& line) {
                asked_run_dir = run_dir;
                asked_command = command;
                asked_arguments = arguments;
                for (const base::Json& one : lines) {
                  if (!line(one)) return base::OkStatus();
                }
                return follow_status;
              },
          .remove_everything =
              [this](const std::string& bpf_dir) {
                removed_from = bpf_dir;
                return removed;
              },
          .remove_plugin =
              [this](const std::string& conf_dir, const std::string& bin_dir) {
                plugin_removed_from = conf_dir + " " + bin_dir;
                return removed_plugin;
              },
          .run_plugin = [this] { return plugin_status; }} {}

}  // namespace nodeward::cli
