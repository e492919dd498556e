// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/status.h"

namespace nodeward::cni {

// The content of a regular file of at most 1 MiB; NotFound when there is none.
base::StatusOr<std::string> ReadFile(const std::string& path);

// Makes `path` a file of that content and mode in one step, and lasting: who
// opens it sees the old file or the new one, also after the power failed.
base::Status ReplaceFile(const std::string& path, std::string_view content,
                         mode_t mode);

// The same with the content of the program at `source`. Nothing happens when
// `path` has it already.
base::Status CopyProgram(const std::string& source, const std::string& path);

}  // namespace nodeward::cni
