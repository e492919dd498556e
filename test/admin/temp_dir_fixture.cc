// SPDX-License-Identifier: Apache-2.0
#include "admin/temp_dir_fixture.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>

namespace nodeward::admin {

TempDir::TempDir() {
  // Short, because a socket's path must fit in 107 bytes.
  std::string folder = "/tmp/nodeward-test-XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  path_ = folder;
}

TempDir::~TempDir() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

int ModeOf(const std::string& path) {
  struct stat about {};
  if (stat(path.c_str(), &about) != 0) return -1;
  return static_cast<int>(about.st_mode & 07777);
}

}  // namespace nodeward::admin
