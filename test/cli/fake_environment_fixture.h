// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cli/environment.h"

namespace nodeward::cli {

// An Environment whose agent answers from a table and whose output is kept.
class FakeEnvironment {
 public:
  FakeEnvironment();

  Environment& environment() { return environment_; }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

  // What the agent answers to a command; without an entry no agent runs.
  std::map<std::string, base::StatusOr<base::Json>> answers;
  // What the agents of a cluster answer, whatever is asked.
  base::StatusOr<std::vector<kube::AgentAnswer>> agents =
      std::vector<kube::AgentAnswer>();
  ClusterOptions asked_cluster;
  std::vector<std::string> asked_words;
  // What it streams, whatever is asked, and how that ends.
  std::vector<base::Json> lines;
  base::Status follow_status = base::OkStatus();
  // The last question: run directory, command, arguments.
  std::string asked_run_dir;
  std::string asked_command;
  base::Json asked_arguments;

  std::optional<agent::Config> ran;  // what the agent was run with
  int agent_status = 0;
  std::optional<ca::Config> ran_ca;
  base::StatusOr<std::vector<std::string>> removed = std::vector<std::string>();
  std::string removed_from;
  base::StatusOr<std::vector<std::string>> removed_plugin =
      std::vector<std::string>();
  std::string plugin_removed_from;
  int plugin_status = 0;

 private:
  std::ostringstream out_, err_;
  Environment environment_;
};

}  // namespace nodeward::cli
