// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

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

// A file that was not there, on disk when this returns; the name in its folder
// is only after SyncFolder.
base::Status WriteNewFile(const std::string& path, std::string_view text,
                          mode_t mode);
base::Status SyncFolder(const std::string& folder);

}  // namespace nodeward::pki
