// SPDX-License-Identifier: Apache-2.0
#include "pki/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "pki/command.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;

TEST(FileTest, TextAndWhoMayReadIt) {
  TempFolder folder;
  const std::string path = Spill(folder / "a", "text");
  chmod(path.c_str(), 0600);
  auto file = ReadFile(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->text, "text");
  EXPECT_FALSE(file->others_may_read);
  chmod(path.c_str(), 0640);
  file = ReadFile(path);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->others_may_read);
}

TEST(FileTest, AnySizeAndNoMoreMemoryThanThat) {
  TempFolder folder;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1} << 20}) {
    const std::string text(size, 'x');
    const auto file = ReadFile(Spill(folder / "a", text));
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->text, text);
    EXPECT_LE(file->text.capacity(), size + 16);
  }
  // The kernel's files are longer than their size says.
  const auto grown = ReadFile("/proc/self/status");
  ASSERT_TRUE(grown.ok()) << grown.status();
  EXPECT_THAT(grown->text, HasSubstr("\nMems_allowed_list:"));
}

TEST(FileTest, WhatIsNoPlainFileIsRefused) {
  TempFolder folder;
  EXPECT_TRUE(absl::IsNotFound(ReadFile(folder / "none").status()));
  EXPECT_THAT(std::string(ReadFile(folder.path()).status().message()),
              HasSubstr("not a regular file"));
  const std::string fifo = folder / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_FALSE(ReadFile(fifo).ok());  // and does not hang
  Spill(folder / "big", std::string((1 << 20) + 1, 'x'));
  EXPECT_THAT(std::string(ReadFile(folder / "big").status().message()),
              HasSubstr("larger than"));
}

TEST(FileTest, WritesWhatIsNotThereYet) {
  TempFolder folder;
  const std::string path = folder / "new";
  ASSERT_TRUE(WriteNewFile(path, std::string(100000, 'x'), 0600).ok());
  ASSERT_TRUE(SyncFolder(folder.path()).ok());
  auto file = ReadFile(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->text, std::string(100000, 'x'));
  EXPECT_FALSE(file->others_may_read);
  EXPECT_THAT(std::string(WriteNewFile(path, "other", 0600).message()),
              HasSubstr("create " + path));
  EXPECT_EQ(ReadFile(path)->text.size(), 100000u);
  EXPECT_THAT(std::string(SyncFolder(path).message()),
              HasSubstr("sync folder " + path));
}

}  // namespace
}  // namespace nodeward::pki
