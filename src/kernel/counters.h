// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "base/fd.h"
#include "base/status.h"
#include "kernel/object.h"

namespace nodeward::kernel {

// The programs' verdicts, added up over the CPUs.
class Counters {
 public:
  static base::StatusOr<Counters> Open(const SharedMaps& maps);
  // Name ("connect_captured") -> value.
  absl::flat_hash_map<std::string, uint64_t> Read() const;

 private:
  explicit Counters(base::Fd fd) : fd_(std::move(fd)) {}
  base::Fd fd_;
};

}  // namespace nodeward::kernel
