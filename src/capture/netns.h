// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "base/fd.h"
#include "base/status.h"

namespace nodeward::capture {

class Netns;
// Shared: an agent's descriptor keeps a namespace alive, so whoever lets go
// last frees it.
using NetnsPtr = std::shared_ptr<const Netns>;

// An open network namespace. Immutable; any thread.
class Netns {
 public:
  // That of the calling thread.
  static base::StatusOr<NetnsPtr> Own();
  // The namespace behind `path` (a bind mount below /run/netns, or
  // /proc/PID/ns/net). kNotFound: nothing there; kInvalidArgument: no network
  // namespace.
  static base::StatusOr<NetnsPtr> Open(const std::string& path);

  int fd() const { return fd_.get(); }
  // SO_NETNS_COOKIE: unlike the inode never used again until the next boot.
  uint64_t cookie() const { return cookie_; }
  // Does `path` still lead here?
  bool IsAt(const std::string& path) const;

  // Runs `work` on the calling thread inside this namespace and comes back to
  // `home`, where the thread must have been. Not being able to come back ends
  // the process: the thread would go on in a pod.
  base::Status Run(const Netns& home,
                   absl::FunctionRef<base::Status()> work) const;

 private:
  Netns(base::Fd fd, dev_t device, ino_t inode)
      : fd_(std::move(fd)), device_(device), inode_(inode) {}
  static base::StatusOr<NetnsPtr> FromFd(base::Fd fd, const Netns* home,
                                         const std::string& path);

  base::Fd fd_;
  uint64_t cookie_ = 0;
  dev_t device_;
  ino_t inode_;
};

}  // namespace nodeward::capture
