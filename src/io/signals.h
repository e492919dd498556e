// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "base/fd.h"
#include "base/status.h"
#include "io/loop.h"

namespace nodeward::io {

// Calls back on the loop for SIGTERM and SIGINT. REQUIRES: made before any
// other thread, so that every thread has them blocked.
class Signals final : private Watcher {
 public:
  static base::StatusOr<std::unique_ptr<Signals>> Watch(
      Loop& loop, std::function<void(int signal)> callback);
  ~Signals();

 private:
  Signals(Loop& loop, base::Fd fd, std::function<void(int)> callback);
  void OnEvents(uint32_t events) override;

  Loop& loop_;
  base::Fd fd_;
  std::function<void(int)> callback_;
};

}  // namespace nodeward::io
