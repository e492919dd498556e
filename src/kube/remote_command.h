// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace nodeward::kube {

// A command in a container, by the API's pods/exec over a WebSocket: what to
// ask for, and what its messages mean. Does no I/O.
class RemoteCommand {
 public:
  struct Place {
    std::string name_space, pod, container;
  };
  struct Result {
    int exit_status = 0;
    std::string out, err;
  };

  // Newest first.
  static std::vector<std::string> Protocols();
  // Path and query.
  static std::string Target(const Place& place,
                            const std::vector<std::string>& words);

  // The first byte of a message is its channel.
  void Take(std::string_view message);
  // What the command came to. An error: it could not be run, or the connection
  // ended before it did.
  base::StatusOr<Result> Finish() &&;
  // It has ended; there is nothing more to wait for.
  bool ended() const { return status_.has_value(); }

 private:
  Result result_;
  std::optional<std::string> status_;  // a Kubernetes Status
  bool oversized_ = false;
};

}  // namespace nodeward::kube
