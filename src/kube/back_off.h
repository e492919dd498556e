// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace nodeward::kube {

// How long to wait before the next try: twice as long as before, with as much
// again at random, so that agents do not come back all at once.
class BackOff {
 public:
  // `random`: 0 to 1. After two minutes without a failure it starts anew.
  absl::Duration Next(absl::Time now, double random) {
    if (now - last_ > kReset) pause_ = kFirst;
    last_ = now;
    const absl::Duration pause = pause_ * (1 + random);
    pause_ = std::min(2 * pause_, kLongest);
    return pause;
  }

 private:
  static constexpr absl::Duration kFirst = absl::Milliseconds(800);
  static constexpr absl::Duration kLongest = absl::Seconds(30);
  static constexpr absl::Duration kReset = absl::Minutes(2);
  absl::Duration pause_ = kFirst;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace nodeward::kube
