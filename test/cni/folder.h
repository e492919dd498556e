// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>

#include "absl/time/clock.h"

namespace nodeward::cni {

// A folder of its own for one test, removed with all that is in it. Its path is
// short, for sockets.
class Folder {
 public:
  Folder() {
    std::string name = "/tmp/nodeward-cni-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(*this / name, std::ios::binary) << text;
  }
  // Empty: there is none.
  std::string Read(const std::string& name) const {
    std::ifstream in(*this / name, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  int ModeOf(const std::string& name) const {
    struct stat about {};
    if (stat((*this / name).c_str(), &about) != 0) return -1;
    return static_cast<int>(about.st_mode & 07777);
  }

 private:
  std::string path_;
};

// Until `good` says so.
inline void Await(const std::function<bool()>& good) {
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (!good()) {
    ASSERT_LT(absl::Now(), deadline);
    absl::SleepFor(absl::Milliseconds(5));
  }
}

}  // namespace nodeward::cni
