// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status.h"

namespace nodeward::ca {

// How often and how many at once, for each key by itself. Thread-safe.
class Limiter {
 public:
  struct Options {
    double rate = 100;    // a second, in the long run
    double burst = 1000;  // at once after a rest
    int in_flight = 64;
    // Keys beyond this are refused until others have rested.
    size_t max_keys = 20000;
    // Injected for tests.
    std::function<absl::Time()> clock = [] { return absl::Now(); };
  };
  // A place in flight; given back when destroyed. The limiter outlives it.
  class Pass {
   public:
    Pass(Pass&& other) noexcept;
    Pass& operator=(Pass&&) = delete;
    ~Pass();

   private:
    friend class Limiter;
    Pass(Limiter* limiter, std::string key);
    Limiter* limiter_;
    std::string key_;
  };

  explicit Limiter(Options options);
  // ResourceExhausted: which of the limits was met.
  base::StatusOr<Pass> Enter(const std::string& key);

 private:
  struct Bucket {
    double tokens = 0;
    absl::Time filled;
    int in_flight = 0;
  };
  void Leave(const std::string& key);
  void Fill(Bucket* bucket, absl::Time now) const;
  void DropRested(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  base::Mutex mutex_;
  absl::flat_hash_map<std::string, Bucket> buckets_ ABSL_GUARDED_BY(mutex_);
  absl::Time swept_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace nodeward::ca
