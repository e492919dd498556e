// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace nodeward::admin {

// A folder of its own for one test, removed with all that is in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The permission bits of `path`, or -1.
int ModeOf(const std::string& path);

}  // namespace nodeward::admin
