// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace nodeward::admin {

// An agent's runtime directory, and that it is this agent's alone. The lock is
// the kernel's: it ends with the process, however that ends.
class RunDir {
 public:
  // Makes `path` (with its parents) of mode 0700 if absent, and takes the lock
  // in it. Errors: what cannot be made or belongs to somebody else, and another
  // agent's process ID when one holds the lock.
  static base::StatusOr<RunDir> Open(const std::string& path);
  // The directory of an agent that hands over: `lock` is that agent's own, and
  // held as long as either of them has it open. The error leaves it so.
  static base::StatusOr<RunDir> Adopt(const std::string& path, base::Fd lock);

  const std::string& path() const { return path_; }
  std::string control_socket() const { return ControlSocketIn(path_); }
  int lock() const { return lock_.get(); }
  // Writes this process's ID into the lock, for whoever finds it taken.
  base::Status Sign() const;

  static std::string ControlSocketIn(const std::string& run_dir);

 private:
  RunDir(std::string path, base::Fd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  base::Fd lock_;
};

}  // namespace nodeward::admin
