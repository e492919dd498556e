// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/time/time.h"

namespace nodeward::identity {

// When to ask again for a certificate that is good from `begin` to
// `not_after`: at half of its life, 10 % of that earlier or later, so that the
// certificates of a node started at once do not fall due at once. `jitter` is
// from [-1, 1].
absl::Time RenewalTime(absl::Time begin, absl::Time not_after, double jitter);

// The longest waits: while there is a valid certificate to serve on with, and
// while pods are cut off for want of one.
inline constexpr absl::Duration kLongestBackoff = absl::Seconds(150);
inline constexpr absl::Duration kLongestCutOff = absl::Seconds(15);

// How long to wait after the `failures`-th failure in a row (counted from 1):
// 1 s, doubled each time, at most `longest`; 20 % less or more by `jitter`.
absl::Duration Backoff(int failures, double jitter, absl::Duration longest);

}  // namespace nodeward::identity
