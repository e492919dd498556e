// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "agent/config.h"
#include "base/json.h"
#include "base/status.h"
#include "ca/config.h"
#include "kube/agents.h"

namespace nodeward::cli {

// A cluster as its user sees it.
struct ClusterOptions {
  std::string kubeconfig;  // empty: the environment's, or ~/.kube/config
  std::string context;     // empty: the current one
  std::string name_space = "nodeward-system";
};

// What a command may touch of the world, so that commands can be tested.
struct Environment {
  std::ostream& out;
  std::ostream& err;
  std::string run_dir;  // where --run-dir does not say otherwise
  std::function<int(const agent::Config&)> run_agent;
  std::function<int(const ca::Config&)> run_ca;
  std::function<base::StatusOr<base::Json>(const std::string& run_dir,
                                           const std::string& command,
                                           const base::Json& args)>
      ask_agent;
  // The same words of a command in every agent of a cluster.
  std::function<base::StatusOr<std::vector<kube::AgentAnswer>>(
      const ClusterOptions& cluster, const std::vector<std::string>& words)>
      ask_agents;
  // A streaming command: its lines, until `line` returns false, or the agent or
  // the user (Ctrl-C, which is no error) ends it.
  std::function<base::Status(
      const std::string& run_dir, const std::string& command,
      const base::Json& args,
      const std::function<bool(const base::Json&)>& line)>
      follow_agent;
  std::function<base::StatusOr<std::vector<std::string>>(
      const std::string& bpf_dir)>
      remove_everything;
  std::function<base::StatusOr<std::vector<std::string>>(
      const std::string& conf_dir, const std::string& bin_dir)>
      remove_plugin;
  std::function<int()> run_plugin;
};

// This process's own.
Environment ProcessEnvironment();

// What commands return: the exit status, or an error, which is 1.
inline constexpr int kOk = 0;
inline constexpr int kProblem = 1;
inline constexpr int kUsage = 2;

}  // namespace nodeward::cli
