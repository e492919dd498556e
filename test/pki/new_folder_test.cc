// SPDX-License-Identifier: Apache-2.0
#include "pki/new_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "pki/command.h"

namespace nodeward::pki {
namespace {

TEST(NewFolderTest, AllOrNothingAndNeverOver) {
  TempFolder folder;
  const std::string path = folder / "new";
  ASSERT_TRUE(
      MakeNewFolder(path, {{"a", "one", 0644}, {"b", "two", 0600}}).ok());
  EXPECT_EQ(Slurp(path + "/a"), "one");
  EXPECT_EQ(Slurp(path + "/b"), "two");
  struct stat info {};
  ASSERT_EQ(stat((path + "/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);

  const base::Status again = MakeNewFolder(path, {{"a", "three", 0644}});
  EXPECT_TRUE(absl::IsAlreadyExists(again)) << again;
  EXPECT_EQ(Slurp(path + "/a"), "one");
  // A name twice: nothing is left of the attempt.
  EXPECT_FALSE(
      MakeNewFolder(folder / "bad", {{"a", "", 0644}, {"a", "", 0644}}).ok());
  int entries = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(folder.path())) {
    ++entries;
  }
  EXPECT_EQ(entries, 1);
}

}  // namespace
}  // namespace nodeward::pki
