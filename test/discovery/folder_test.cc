// SPDX-License-Identifier: Apache-2.0
#include "discovery/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "discovery/folder_fixture.h"

namespace nodeward::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Files(const Listing& listing) {
  std::vector<std::string> files;
  for (const auto& item : listing.files) files.push_back(item.first);
  return files;
}

TEST(FolderTest, ListsManifestsRecursively) {
  TemporaryFolder folder;
  folder.Write("b.yaml", "");
  folder.Write("a.yml", "");
  folder.Write("c.json", "");
  folder.Write("d.txt", "");
  folder.Write("e.yaml~", "");
  folder.Write(".hidden.yaml", "");
  folder.MakeFolder("sub");
  folder.MakeFolder("sub/deeper");
  folder.MakeFolder(".git");
  folder.Write("sub/deeper/x.yaml", "");
  folder.Write(".git/y.yaml", "");
  const Listing listing = ListFolder(folder.path(), nullptr);
  EXPECT_THAT(Files(listing),
              ElementsAre("a.yml", "b.yaml", "c.json", "sub/deeper/x.yaml"));
  EXPECT_EQ(listing.folders.size(), 3u);
  EXPECT_THAT(listing.barred, IsEmpty());
}

TEST(FolderTest, FollowsLinksButNotInCircles) {
  TemporaryFolder folder;
  folder.MakeFolder("real");
  folder.Write("real/x.yaml", "");
  folder.Link("real", "alias");
  folder.Link("..", "real/up");
  folder.Link("real/x.yaml", "y.yaml");
  folder.Link("nowhere", "z.yaml");
  const Listing listing = ListFolder(folder.path(), nullptr);
  EXPECT_THAT(Files(listing), ElementsAre("real/x.yaml", "y.yaml"));
  EXPECT_TRUE(listing.files.at("y.yaml").link);
  EXPECT_FALSE(listing.files.at("real/x.yaml").link);
  EXPECT_EQ(listing.files.at("y.yaml").inode,
            listing.files.at("real/x.yaml").inode);
}

TEST(FolderTest, ReadsWhatAConfigMapMounts) {
  TemporaryFolder folder;
  folder.MakeFolder("..2024_01");
  folder.Write("..2024_01/x.yaml", "content");
  folder.Link("..2024_01", "..data");
  folder.Link("..data/x.yaml", "x.yaml");
  EXPECT_THAT(Files(ListFolder(folder.path(), nullptr)), ElementsAre("x.yaml"));
  EXPECT_EQ(*ReadTrusted(folder.At("x.yaml")), "content");
}

TEST(FolderTest, OnlyRootMayBeAbleToChangeIt) {
  TemporaryFolder folder;
  EXPECT_TRUE(CheckFolder(folder.path()).ok());
  chmod(folder.path().c_str(), 0775);
  EXPECT_THAT(std::string(CheckFolder(folder.path()).message()),
              AllOf(HasSubstr("mode 0775 lets others write"),
                    HasSubstr("network namespaces"),
                    HasSubstr("chmod go-w " + folder.path())));
  chmod(folder.path().c_str(), 0757);
  EXPECT_FALSE(CheckFolder(folder.path()).ok());
  chmod(folder.path().c_str(), 0700);
  EXPECT_TRUE(CheckFolder(folder.path()).ok());
  ASSERT_EQ(chown(folder.path().c_str(), 65534, 0), 0);
  EXPECT_THAT(std::string(CheckFolder(folder.path()).message()),
              AllOf(HasSubstr("belongs to uid 65534"),
                    HasSubstr("chown root " + folder.path())));
  ASSERT_EQ(chown(folder.path().c_str(), 0, 0), 0);
}

TEST(FolderTest, TheDirectoryMustBeOne) {
  TemporaryFolder folder;
  EXPECT_THAT(
      std::string(CheckFolder(folder.At("none")).message()),
      AllOf(HasSubstr(folder.At("none")),
            HasSubstr("No such file or directory"), HasSubstr("mkdir")));
  folder.Write("file", "");
  EXPECT_THAT(std::string(CheckFolder(folder.At("file")).message()),
              HasSubstr("not a directory"));
}

TEST(FolderTest, WhatOthersCanChangeIsNotRead) {
  TemporaryFolder folder;
  folder.MakeFolder("theirs");
  folder.Write("theirs/x.yaml", "");
  ASSERT_EQ(chown(folder.At("theirs").c_str(), 65534, 0), 0);
  const Listing listing = ListFolder(folder.path(), nullptr);
  EXPECT_THAT(Files(listing), IsEmpty());
  EXPECT_THAT(listing.barred.at("theirs"), HasSubstr("uid 65534"));
  folder.Write("open.yaml", "x");
  chmod(folder.At("open.yaml").c_str(), 0666);
  const auto text = ReadTrusted(folder.At("open.yaml"));
  EXPECT_THAT(std::string(text.status().message()),
              HasSubstr("mode 0666 lets others write"));
}

TEST(FolderTest, ReadsRegularFilesOnly) {
  TemporaryFolder folder;
  EXPECT_TRUE(absl::IsNotFound(ReadTrusted(folder.At("x.yaml")).status()));
  ASSERT_EQ(mkfifo(folder.At("fifo.yaml").c_str(), 0644), 0);
  EXPECT_THAT(
      std::string(ReadTrusted(folder.At("fifo.yaml")).status().message()),
      HasSubstr("not a regular file"));
  folder.Write("huge.yaml", "");
  ASSERT_EQ(truncate(folder.At("huge.yaml").c_str(), (64l << 20) + 1), 0);
  EXPECT_THAT(
      std::string(ReadTrusted(folder.At("huge.yaml")).status().message()),
      HasSubstr("larger than 64 MiB"));
  const std::string large(200000, 'x');
  folder.Write("large.yaml", large);
  EXPECT_EQ(*ReadTrusted(folder.At("large.yaml")), large);
}

TEST(FolderTest, DepthIsBounded) {
  TemporaryFolder folder;
  std::string path;
  for (int i = 0; i < 20; ++i) {
    path += path.empty() ? "d" : "/d";
    folder.MakeFolder(path);
  }
  const Listing listing = ListFolder(folder.path(), nullptr);
  ASSERT_EQ(listing.barred.size(), 1u);
  EXPECT_THAT(listing.barred.begin()->second, HasSubstr("levels deep"));
}

}  // namespace
}  // namespace nodeward::discovery
