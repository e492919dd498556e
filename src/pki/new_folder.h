// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace nodeward::pki {

struct NewFile {
  std::string name;
  std::string_view text;
  mode_t mode = 0644;
};

// Makes the folder `path` (0700) with `files` in it, all of it or nothing, on
// disk when it returns. AlreadyExists when there is anything of that name;
// nothing is ever overwritten.
base::Status MakeNewFolder(const std::string& path,
                           const std::vector<NewFile>& files);

}  // namespace nodeward::pki
