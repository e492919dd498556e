// SPDX-License-Identifier: Apache-2.0
#include "identity/schedule.h"

#include <algorithm>

namespace nodeward::identity {
namespace {

constexpr double kRenewalJitter = 0.1;
constexpr double kBackoffJitter = 0.2;
constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
constexpr int kMaxDoublings = 10;  // 2^10 s is beyond the cap already

}  // namespace

absl::Time RenewalTime(absl::Time begin, absl::Time not_after, double jitter) {
  const absl::Duration half = (not_after - begin) / 2;
  return begin + half * (1 + kRenewalJitter * jitter);
}

absl::Duration Backoff(int failures, double jitter, absl::Duration longest) {
  const int doublings = std::clamp(failures - 1, 0, kMaxDoublings);
  const absl::Duration wait =
      std::min(kFirstBackoff * (1 << doublings), longest);
  return wait * (1 + kBackoffJitter * jitter);
}

}  // namespace nodeward::identity
