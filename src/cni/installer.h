// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "cni/decision.h"
#include "cni/kubeconfig.h"
#include "io/loop.h"

namespace nodeward::cni {

inline constexpr char kDefaultConfigurationDir[] = "/etc/cni/net.d";
inline constexpr char kDefaultProgramDir[] = "/opt/cni/bin";

// Keeps the plugin on the node: its program, what it goes by when no agent
// answers, and its entry at the end of the first network configuration, which
// is put there again when another CNI rewrites that. A configuration of a
// single plugin is set aside, and a list of it and ours takes its place.
// Control loop.
class Installer final : private io::Watcher {
 public:
  struct Places {
    std::string configuration_dir;  // "/etc/cni/net.d"
    std::string program_dir;        // "/opt/cni/bin"
    std::string program;            // what is copied there
    std::string socket;             // the agent's
    std::string agent_namespace;    // may be empty
  };

  // Nothing is changed yet. `loop` outlives this.
  static base::StatusOr<std::unique_ptr<Installer>> Create(io::Loop& loop,
                                                           Places places);
  ~Installer();

  // What the plugin goes by. Written at once when Keep has been called, else
  // then.
  void SetNamespaces(const KnownNamespaces& namespaces);
  void SetKubeconfig(const Kubeconfig& config);

  // From now on everything is in its place.
  void Keep();
  // No more, and the entry is taken out: runtimes stop calling the plugin. The
  // rest stays until RemovePlugin, for those that have begun to.
  void RemoveEntry();
  // Why something is not in its place; empty: all is, or Keep has not been
  // called.
  const std::string& problem() const { return problem_; }

 private:
  Installer(io::Loop& loop, Places places, base::Fd inotify);
  void OnEvents(uint32_t events) override;
  void Look();
  base::Status Install();
  base::Status InstallProgram();
  base::Status InstallEntry();
  base::Status WriteState();
  base::Json Entry() const;

  io::Loop& loop_;
  const Places places_;
  base::Fd inotify_;
  io::Timer look_;
  bool keeping_ = false;
  std::string problem_ = "the CNI plugin is not installed yet";
  std::string namespaces_;  // the files' content; empty: not known
  std::string kubeconfig_;
  absl::Duration changed_;  // the loop's time of our last change
  struct stat program_ {};  // as it was left
};

// Takes everything that an Installer has put into these folders off the node,
// and gives back what it set aside. Returns what was removed, a line each.
base::StatusOr<std::vector<std::string>> RemovePlugin(
    const std::string& configuration_dir, const std::string& program_dir);

}  // namespace nodeward::cni
