// SPDX-License-Identifier: Apache-2.0
#include "ca/file_state.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/text.h"

namespace nodeward::ca {
namespace {

// The change time is the kernel's own: no tool can leave it as it was.
void Describe(const std::string& path, std::string* out) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    base::StrAppend(out, path, " -\n");
    return;
  }
  base::StrAppend(out, path, " ", info.st_dev, " ", info.st_ino, " ",
                  info.st_size, " ", info.st_ctim.tv_sec, " ",
                  info.st_ctim.tv_nsec, "\n");
}

}  // namespace

std::string FileState(const std::string& path) {
  std::string state;
  if (path.empty()) return state;
  Describe(path, &state);
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end;
       !error && it != end; it.increment(error)) {
    names.push_back(it->path().string());
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) Describe(name, &state);
  return state;
}

}  // namespace nodeward::ca
