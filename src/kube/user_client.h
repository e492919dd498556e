// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "kube/kubeconfig.h"
#include "kube/remote_command.h"

namespace nodeward::kube {

// Asks an API server as a user with a kubeconfig, a request at a time: each
// waits for its answer. Any thread.
class UserClient {
 public:
  struct Answer {
    int status = 0;
    std::string body;  // at most 64 MiB
  };

  explicit UserClient(ClusterAccess access);

  // GET `target` (path and query).
  base::StatusOr<Answer> Get(const std::string& target,
                             absl::Duration deadline) const;
  // Runs `words` in a container and waits for its end.
  base::StatusOr<RemoteCommand::Result> Run(
      const RemoteCommand::Place& place, const std::vector<std::string>& words,
      absl::Duration deadline) const;
  const std::string& server() const { return access_.server; }

 private:
  class Connection;

  const ClusterAccess access_;
};

}  // namespace nodeward::kube
