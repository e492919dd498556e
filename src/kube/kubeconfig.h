// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace nodeward::kube {

// A program that tells who the user is, as client.authentication.k8s.io.
struct CredentialPlugin {
  std::string command;  // a path, or a name to be found in PATH
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;  // besides ours
  std::string version;                             // its apiVersion
  std::string install_hint;
  bool wants_cluster = false;
};

// How a user reaches a cluster. Secrets are wiped when it goes.
struct ClusterAccess {
  ClusterAccess() = default;
  ClusterAccess(ClusterAccess&&) = default;
  ClusterAccess& operator=(ClusterAccess&&) = default;
  ClusterAccess(const ClusterAccess&) = delete;
  ClusterAccess& operator=(const ClusterAccess&) = delete;
  ~ClusterAccess();

  std::string server;       // "https://10.0.0.1:6443", no slash at the end
  std::string server_name;  // empty: that of `server`
  std::string roots;        // PEM; empty: the system's
  bool insecure = false;    // any server will do
  std::string proxy;        // URL; empty: as the environment says
  // What of these there is is shown.
  std::string token;
  std::string certificate, key;  // PEM
  std::optional<CredentialPlugin> plugin;
};

// Where kubectl looks: the files of `listed` ($KUBECONFIG, "a:b"), else
// `home`'s .kube/config.
std::vector<std::string> DefaultKubeconfigs(std::string_view listed,
                                            const std::string& home);

// The access that kubeconfig files describe together, as kubectl reads them. Of
// each cluster, user and context, and of the current context, the first file
// that has it counts, whole; what a file names (certificates, tokens) lies
// relative to that file. Files that are not there are passed over, unless none
// is (NotFound); one that cannot be read is an error. `context`: empty for the
// current one. A plugin is not run.
base::StatusOr<ClusterAccess> ReadKubeconfig(
    const std::vector<std::string>& paths, const std::string& context);

}  // namespace nodeward::kube
