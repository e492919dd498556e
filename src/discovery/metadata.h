// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "discovery/field.h"
#include "model/workload.h"

namespace nodeward::discovery {

// The part that every Kubernetes object has.
struct Metadata {
  std::string name;
  std::string name_space;  // "default" when the object names none
  std::string uid;
  int64_t created = 0;  // seconds since the epoch; 0: not told
  model::Labels labels;
  model::Labels annotations;
};

// `root` is the object. A missing name is a flaw.
Metadata ReadMetadata(const Field& root);

}  // namespace nodeward::discovery
