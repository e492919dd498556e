// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "base/fd.h"
#include "base/status.h"
#include "io/loop.h"

namespace nodeward::agent {

// Makes this process fit to hold private keys and many sockets: not dumpable,
// no core file, descriptor limit raised to what is allowed, SIGPIPE ignored.
// An error when it is not root: the hooks could not be attached.
base::Status PrepareProcess();

// Calls back on the loop for SIGTERM and SIGINT. REQUIRES: made before any
// other thread, so that every thread has them blocked.
class Signals final : private io::Watcher {
 public:
  static base::StatusOr<std::unique_ptr<Signals>> Watch(
      io::Loop& loop, std::function<void(int signal)> callback);
  ~Signals();

 private:
  Signals(io::Loop& loop, base::Fd fd, std::function<void(int)> callback);
  void OnEvents(uint32_t events) override;

  io::Loop& loop_;
  base::Fd fd_;
  std::function<void(int)> callback_;
};

}  // namespace nodeward::agent
