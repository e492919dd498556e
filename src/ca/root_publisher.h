// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status.h"
#include "ca/object_name.h"

namespace nodeward::ca {

// Keeps the key root-cert.pem of a ConfigMap at the roots that the CA's
// certificate leads to, for those who ask the CA. It does so on a thread of its
// own, tries again when it failed, and now and then anew, in case somebody
// else has changed it. It changes a ConfigMap that is there and makes none, so
// that the verb `patch` on that one object is enough.
class RootPublisher {
 public:
  // Patches (JSON merge patch) a path of the API server: (HTTP status, body).
  using Patcher = std::function<base::StatusOr<std::pair<long, std::string>>(
      const std::string& path, const std::string& json)>;
  struct Options {
    ObjectName place;
    absl::Duration first_retry = absl::Seconds(1);
    absl::Duration last_retry = absl::Minutes(1);
    absl::Duration again = absl::Minutes(10);
  };
  RootPublisher(Options options, Patcher patch);
  // Waits for a request that is under way.
  ~RootPublisher();

  // From now on these. Any thread; does not wait.
  void Set(std::string roots_pem);
  // Whether the last that were set have been written. Any thread.
  bool published() const;

 private:
  void Work();
  base::Status Write(const std::string& roots) const;

  const Options options_;
  const Patcher patch_;
  mutable base::Mutex mutex_;
  absl::CondVar changed_;
  std::string wanted_ ABSL_GUARDED_BY(mutex_);
  std::string written_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace nodeward::ca
