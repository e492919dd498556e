// SPDX-License-Identifier: Apache-2.0
#include "cli/environment.h"

#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "admin/control.h"
#include "agent/run.h"
#include "ca/run.h"
#include "capture/enroller.h"
#include "cni/installer.h"
#include "cni/process.h"
#include "kube/kubeconfig.h"

namespace nodeward::cli {
namespace {

// Ctrl-C asks the agent for its last line.
base::Status FollowAgent(const std::string& run_dir, const std::string& command,
                         const base::Json& args,
                         const std::function<bool(const base::Json&)>& line) {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  if (sigprocmask(SIG_BLOCK, &interrupt, nullptr) != 0) {
    return base::ErrnoStatus(errno, "block SIGINT");
  }
  const base::Fd stop(signalfd(-1, &interrupt, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!stop.valid()) return base::ErrnoStatus(errno, "make a signalfd");
  return admin::FollowAgent(run_dir, command, args, stop.get(), line);
}

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

base::StatusOr<std::vector<kube::AgentAnswer>> AskAgents(
    const ClusterOptions& cluster, const std::vector<std::string>& words) {
  const std::vector<std::string> files =
      cluster.kubeconfig.empty()
          ? kube::DefaultKubeconfigs(Variable("KUBECONFIG"), Variable("HOME"))
          : std::vector<std::string>{cluster.kubeconfig};
  NODEWARD_ASSIGN(auto access, kube::ReadKubeconfig(files, cluster.context));
  return kube::AskAgents(std::move(access), cluster.name_space, words);
}

}  // namespace

Environment ProcessEnvironment() {
  return {.out = std::cout,
          .err = std::cerr,
          .run_dir = agent::DefaultRunDir(),
          .run_agent = agent::Run,
          .run_ca = ca::Run,
          .ask_agent =
              [](const std::string& run_dir, const std::string& command,
                 const base::Json& args) {
                return admin::AskAgent(run_dir, command, args);
              },
          .ask_agents = AskAgents,
          .follow_agent = FollowAgent,
          .remove_everything = capture::RemoveEverything,
          .remove_plugin = cni::RemovePlugin,
          .run_plugin = cni::RunProcess};
}

}  // namespace nodeward::cli
