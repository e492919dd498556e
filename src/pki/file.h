// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"

namespace nodeward::pki {

struct File {
  std::string text;
  // Or write: what a key's file should not let them.
  bool others_may_read = false;
};

// A regular file of at most 1 MiB; links are followed. NotFound when there is
// none. What was read of a file that fails is wiped.
base::StatusOr<File> ReadFile(const std::string& path);

}  // namespace nodeward::pki
