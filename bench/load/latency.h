// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace nodeward::load {

// Keeps every sample, so that percentiles are exact.
class Latencies {
 public:
  void Add(int64_t ns) {
    samples_.push_back(
        static_cast<uint32_t>(std::min<int64_t>(ns, UINT32_MAX)));
  }
  void Clear() { samples_.clear(); }
  size_t size() const { return samples_.size(); }
  // "\"p50\": 21.4, …" in microseconds, without braces. Sorts the samples.
  std::string ToJson();

 private:
  std::vector<uint32_t> samples_;
};

}  // namespace nodeward::load
