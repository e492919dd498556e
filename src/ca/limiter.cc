// SPDX-License-Identifier: Apache-2.0
#include "ca/limiter.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace nodeward::ca {
namespace {

// Sweeping walks all buckets: seldom, whoever asks.
constexpr absl::Duration kSweep = absl::Seconds(1);

}  // namespace

Limiter::Pass::Pass(Limiter* limiter, std::string key)
    : limiter_(limiter), key_(std::move(key)) {}

Limiter::Pass::Pass(Pass&& other) noexcept
    : limiter_(std::exchange(other.limiter_, nullptr)),
      key_(std::move(other.key_)) {}

Limiter::Pass::~Pass() {
  if (limiter_ != nullptr) limiter_->Leave(key_);
}

Limiter::Limiter(Options options) : options_(std::move(options)) {}

base::StatusOr<Limiter::Pass> Limiter::Enter(const std::string& key) {
  const absl::Time now = options_.clock();
  base::MutexLock lock(&mutex_);
  auto found = buckets_.find(key);
  if (found == buckets_.end()) {
    if (buckets_.size() >= options_.max_keys) DropRested(now);
    if (buckets_.size() >= options_.max_keys) {
      return absl::ResourceExhaustedError("too many callers at once");
    }
    found = buckets_.emplace(key, Bucket{options_.burst, now, 0}).first;
  }
  Bucket& bucket = found->second;
  Fill(&bucket, now);
  if (bucket.in_flight >= options_.in_flight) {
    return absl::ResourceExhaustedError(base::StrCat(
        "more than ", options_.in_flight, " requests of this caller at once"));
  }
  if (bucket.tokens < 1) {
    return absl::ResourceExhaustedError(base::StrCat(
        "more than ", options_.rate, " requests of this caller a second"));
  }
  bucket.tokens -= 1;
  ++bucket.in_flight;
  return Pass(this, key);
}

void Limiter::Leave(const std::string& key) {
  base::MutexLock lock(&mutex_);
  --buckets_[key].in_flight;
}

void Limiter::Fill(Bucket* bucket, absl::Time now) const {
  // A clock that was set back gives nothing and takes nothing.
  const double passed =
      std::max(0.0, absl::ToDoubleSeconds(now - bucket->filled));
  bucket->tokens =
      std::min(options_.burst, bucket->tokens + passed * options_.rate);
  bucket->filled = now;
}

void Limiter::DropRested(absl::Time now) {
  if (now - swept_ < kSweep && now >= swept_) return;
  swept_ = now;
  for (auto it = buckets_.begin(); it != buckets_.end();) {
    Fill(&it->second, now);
    if (it->second.in_flight == 0 && it->second.tokens >= options_.burst) {
      buckets_.erase(it++);
    } else {
      ++it;
    }
  }
}

}  // namespace nodeward::ca
