// SPDX-License-Identifier: Apache-2.0
#include "ca/file_state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "pki/command.h"

namespace nodeward::ca {
namespace {

using pki::Spill;

TEST(FileStateTest, EveryChangeShows) {
  pki::TempFolder folder;
  const std::string& path = folder.path();
  EXPECT_EQ(FileState(""), "");
  std::string last = FileState(path);
  EXPECT_EQ(FileState(path), last);
  const auto changed = [&] {
    const std::string now = FileState(path);
    const bool different = now != last;
    last = now;
    return different;
  };
  Spill(folder / "a", "one");
  EXPECT_TRUE(changed());
  Spill(folder / "a", "longer");
  EXPECT_TRUE(changed());
  // The same size in the same moment, another file.
  Spill(folder / "b", "LONGER");
  rename((folder / "b").c_str(), (folder / "a").c_str());
  EXPECT_TRUE(changed());
  unlink((folder / "a").c_str());
  EXPECT_TRUE(changed());
  EXPECT_FALSE(changed());
}

TEST(FileStateTest, LinksAreFollowed) {
  pki::TempFolder folder;
  std::filesystem::create_directory(folder / "..one");
  std::filesystem::create_directory(folder / "..two");
  Spill(folder / "..one/tls.crt", "one");
  Spill(folder / "..two/tls.crt", "two");
  ASSERT_EQ(symlink("..one", (folder / "..data").c_str()), 0);
  ASSERT_EQ(symlink("..data/tls.crt", (folder / "tls.crt").c_str()), 0);
  const std::string one = FileState(folder.path());
  ASSERT_EQ(symlink("..two", (folder / "..new").c_str()), 0);
  rename((folder / "..new").c_str(), (folder / "..data").c_str());
  EXPECT_NE(FileState(folder.path()), one);
  EXPECT_NE(FileState(folder / "nowhere"), "");
}

}  // namespace
}  // namespace nodeward::ca
