// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace nodeward::discovery {

// A directory of its own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    char pattern[] = "/tmp/nodeward-discovery-XXXXXX";
    path_ = mkdtemp(pattern);
    chmod(path_.c_str(), 0755);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string At(const std::string& relative) const {
    return path_ + "/" + relative;
  }
  void Write(const std::string& relative, const std::string& text) const {
    std::ofstream stream(At(relative), std::ios::trunc);
    stream << text;
    stream.close();
    ASSERT_TRUE(stream.good()) << relative;
    chmod(At(relative).c_str(), 0644);
  }
  void MakeFolder(const std::string& relative) const {
    ASSERT_EQ(mkdir(At(relative).c_str(), 0755), 0) << relative;
  }
  void Rename(const std::string& from, const std::string& to) const {
    ASSERT_EQ(rename(At(from).c_str(), At(to).c_str()), 0) << from;
  }
  void Link(const std::string& target, const std::string& relative) const {
    std::filesystem::create_symlink(target, At(relative));
  }
  void Remove(const std::string& relative) const {
    std::filesystem::remove_all(At(relative));
  }

 private:
  std::string path_;
};

}  // namespace nodeward::discovery
