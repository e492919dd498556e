// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "base/status.h"
#include "io/loop.h"
#include "kernel/hooks.h"

namespace nodeward::capture {

// Hands on what the probe hook reports. Belongs to the loop's thread.
class ProbeEvents final : private io::Watcher {
 public:
  using Handler = std::function<void(const kernel::ProbeEvent&)>;
  static base::StatusOr<std::unique_ptr<ProbeEvents>> Watch(
      io::Loop& loop, std::shared_ptr<kernel::Hooks> hooks, Handler handler);
  ~ProbeEvents();

 private:
  ProbeEvents(io::Loop& loop, std::shared_ptr<kernel::Hooks> hooks,
              Handler handler);
  void OnEvents(uint32_t events) override;

  io::Loop& loop_;
  const std::shared_ptr<kernel::Hooks> hooks_;
  const Handler handler_;
};

}  // namespace nodeward::capture
