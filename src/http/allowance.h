// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace nodeward::http {

// A token bucket: how often a peer may do what costs us and brings it nothing.
// Time is an argument.
class Allowance {
 public:
  Allowance(double burst, double per_second)
      : burst_(burst), per_second_(per_second), tokens_(burst) {}

  // False when it is used up. `now` must not go back.
  bool Take(absl::Duration now) {
    if (now > last_) {
      tokens_ = std::min(
          burst_, tokens_ + per_second_ * absl::ToDoubleSeconds(now - last_));
      last_ = now;
    }
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double burst_;
  double per_second_;
  double tokens_;
  absl::Duration last_;
};

}  // namespace nodeward::http
