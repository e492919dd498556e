// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/text.h"

namespace nodeward::admin {

// Whether the agent is ready, and if not why. Set by the control loop, read by
// the readiness port; thread-safe. Not ready until the first Set.
class Readiness {
 public:
  // Ready exactly when there is no reason against it.
  void Set(const std::vector<std::string>& reasons) {
    std::string body = reasons.empty() ? "ready\n" : "not ready\n";
    for (const std::string& reason : reasons) {
      base::StrAppend(&body, reason, "\n");
    }
    base::MutexLock lock(&mutex_);
    ready_ = reasons.empty();
    body_ = std::move(body);
  }

  // Ready, and the text that says so.
  std::pair<bool, std::string> Get() const {
    base::MutexLock lock(&mutex_);
    return {ready_, body_};
  }

 private:
  mutable base::Mutex mutex_;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  std::string body_ ABSL_GUARDED_BY(mutex_) = "not ready\nstarting\n";
};

}  // namespace nodeward::admin
