// SPDX-License-Identifier: Apache-2.0
#include "cni/file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/folder.h"

namespace nodeward::cni {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(FileTest, Read) {
  const Folder folder;
  folder.Write("a", "text");
  EXPECT_EQ(*ReadFile(folder / "a"), "text");
  EXPECT_TRUE(absl::IsNotFound(ReadFile(folder / "b").status()));
  EXPECT_FALSE(ReadFile(folder.path()).ok());
  folder.Write("large", std::string((1 << 20) + 1, 'x'));
  EXPECT_THAT(ReadFile(folder / "large").status().ToString(),
              HasSubstr("larger than 1 MiB"));
}

TEST(FileTest, ReplacedInOneStep) {
  const Folder folder;
  folder.Write("a.conflist", "old");
  // Who has it open goes on with the old one.
  std::ifstream open(folder / "a.conflist");
  // A former try that did not come to its end.
  folder.Write(".a.conflist.nodeward-new", "half");
  ASSERT_TRUE(ReplaceFile(folder / "a.conflist", "new", 0640).ok());
  EXPECT_EQ(folder.Read("a.conflist"), "new");
  EXPECT_EQ(folder.ModeOf("a.conflist"), 0640);
  EXPECT_THAT(folder.Names(), ElementsAre("a.conflist"));
  std::string word;
  open >> word;
  EXPECT_EQ(word, "old");
}

TEST(FileTest, WhatCannotBeReplacedLeavesNothing) {
  const Folder folder;
  ASSERT_EQ(mkdir((folder / "a").c_str(), 0755), 0);
  EXPECT_THAT(ReplaceFile(folder / "a", "new", 0644).ToString(),
              HasSubstr("rename"));
  EXPECT_THAT(folder.Names(), ElementsAre("a"));
  EXPECT_FALSE(ReplaceFile(folder / "no/b", "new", 0644).ok());
}

TEST(FileTest, AProgramIsCopiedOnce) {
  const Folder folder;
  folder.Write("source", "program");
  ASSERT_TRUE(CopyProgram(folder / "source", folder / "copy").ok());
  EXPECT_EQ(folder.Read("copy"), "program");
  EXPECT_EQ(folder.ModeOf("copy"), 0755);
  struct stat first {
  }, second{};
  ASSERT_EQ(stat((folder / "copy").c_str(), &first), 0);
  ASSERT_TRUE(CopyProgram(folder / "source", folder / "copy").ok());
  ASSERT_EQ(stat((folder / "copy").c_str(), &second), 0);
  EXPECT_EQ(first.st_ino, second.st_ino);
  folder.Write("source", "another");
  ASSERT_TRUE(CopyProgram(folder / "source", folder / "copy").ok());
  EXPECT_EQ(folder.Read("copy"), "another");
  EXPECT_FALSE(CopyProgram(folder / "none", folder / "copy").ok());
  EXPECT_EQ(folder.Read("copy"), "another");
}

}  // namespace
}  // namespace nodeward::cni
