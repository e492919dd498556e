// SPDX-License-Identifier: Apache-2.0
#include "latency.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace nodeward::load {
namespace {

struct Percentile {
  const char* name;
  double share;
};

constexpr Percentile kPercentiles[] = {
    {"p10", 0.10}, {"p50", 0.50},    {"p75", 0.75},      {"p90", 0.90},
    {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}, {"max", 1.0},
};

}  // namespace

std::string Latencies::ToJson() {
  std::sort(samples_.begin(), samples_.end());
  std::string json;
  for (const Percentile& percentile : kPercentiles) {
    double us = 0;
    if (!samples_.empty()) {
      // Nearest rank: the smallest sample that `share` of all do not exceed.
      double rank = std::ceil(percentile.share * samples_.size());
      size_t index = static_cast<size_t>(std::max(1.0, rank)) - 1;
      us = samples_[index] / 1000.0;
    }
    char text[64];
    std::snprintf(text, sizeof(text), "%s\"%s\": %.2f",
                  json.empty() ? "" : ", ", percentile.name, us);
    json += text;
  }
  return json;
}

}  // namespace nodeward::load
