// SPDX-License-Identifier: Apache-2.0
#include "admin/run_dir.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <string>

#include "admin/temp_dir_fixture.h"

namespace nodeward::admin {
namespace {

using ::testing::HasSubstr;

// A process that holds the lock of `path` until it is killed.
class Holder {
 public:
  explicit Holder(const std::string& path) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const auto held = RunDir::Open(path);
      const char ok = held.ok() ? 'y' : 'n';
      if (write(ready[1], &ok, 1) == 1) pause();
      _exit(1);
    }
    char ok = 0;
    EXPECT_EQ(read(ready[0], &ok, 1), 1);
    EXPECT_EQ(ok, 'y');
    close(ready[0]);
    close(ready[1]);
  }
  ~Holder() { Kill(); }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

TEST(RunDirTest, MakesAPrivateDirectoryWithItsParents) {
  const TempDir temp;
  const std::string path = temp.path() + "/a/b";
  const auto run_dir = RunDir::Open(path);
  ASSERT_TRUE(run_dir.ok()) << run_dir.status();
  EXPECT_EQ(ModeOf(path), 0700);
  EXPECT_EQ(ModeOf(path + "/lock"), 0600);
  EXPECT_EQ(run_dir->path(), path);
  EXPECT_EQ(run_dir->control_socket(), path + "/control.sock");
}

TEST(RunDirTest, AnOpenDirectoryIsMadePrivate) {
  const TempDir temp;
  ASSERT_EQ(chmod(temp.path().c_str(), 0777), 0);
  ASSERT_TRUE(RunDir::Open(temp.path()).ok());
  EXPECT_EQ(ModeOf(temp.path()), 0700);
}

TEST(RunDirTest, TheLockNamesItsHolder) {
  const TempDir temp;
  const auto run_dir = RunDir::Open(temp.path());
  ASSERT_TRUE(run_dir.ok());
  pid_t pid = 0;
  std::ifstream(temp.path() + "/lock") >> pid;
  EXPECT_EQ(pid, getpid());
}

TEST(RunDirTest, ASecondAgentIsRefusedAndToldTheFirstOnesProcess) {
  const TempDir temp;
  const Holder first(temp.path());
  const auto second = RunDir::Open(temp.path());
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(absl::IsAlreadyExists(second.status()));
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("process ID " + std::to_string(first.pid()) + " "));
}

TEST(RunDirTest, TheLockEndsWithAKilledAgent) {
  const TempDir temp;
  Holder first(temp.path());
  first.Kill();
  EXPECT_TRUE(RunDir::Open(temp.path()).ok());
}

TEST(RunDirTest, TheLockEndsWithTheObject) {
  const TempDir temp;
  { ASSERT_TRUE(RunDir::Open(temp.path()).ok()); }
  EXPECT_TRUE(RunDir::Open(temp.path()).ok());
}

TEST(RunDirTest, WhatBelongsToSomebodyElseIsRefused) {
  const TempDir temp;
  const std::string path = temp.path() + "/theirs";
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  ASSERT_EQ(chown(path.c_str(), 65534, 65534), 0);
  EXPECT_THAT(std::string(RunDir::Open(path).status().message()),
              HasSubstr("it belongs to user 65534"));
  const std::string link = temp.path() + "/link";
  ASSERT_EQ(symlink("/tmp", link.c_str()), 0);
  EXPECT_FALSE(RunDir::Open(link).ok());
}

TEST(RunDirTest, AFileInTheWayIsNamed) {
  const TempDir temp;
  const std::string file = temp.path() + "/file";
  std::ofstream(file) << "x";
  EXPECT_THAT(std::string(RunDir::Open(file).status().message()),
              HasSubstr(file));
  EXPECT_THAT(std::string(RunDir::Open(file + "/below/it").status().message()),
              HasSubstr(file));
}

TEST(RunDirTest, ALockIsHandedOverWithoutAGap) {
  const TempDir temp;
  std::optional<RunDir> first = *RunDir::Open(temp.path());
  base::Fd lock(fcntl(first->lock(), F_DUPFD_CLOEXEC, 0));
  std::ofstream(temp.path() + "/lock") << "1\n";
  const auto next = RunDir::Adopt(temp.path(), std::move(lock));
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->path(), temp.path());
  first.reset();
  EXPECT_THAT(std::string(RunDir::Open(temp.path()).status().message()),
              HasSubstr("process ID " + std::to_string(getpid())));
}

TEST(RunDirTest, AnotherDirectorysLockIsNotTaken) {
  const TempDir temp, other;
  const auto theirs = RunDir::Open(other.path());
  ASSERT_TRUE(theirs.ok() && RunDir::Open(temp.path()).ok());
  EXPECT_FALSE(RunDir::Adopt(temp.path(), base::Fd(fcntl(theirs->lock(),
                                                         F_DUPFD_CLOEXEC, 0)))
                   .ok());
  EXPECT_FALSE(RunDir::Adopt(temp.path(), base::Fd()).ok());
}

}  // namespace
}  // namespace nodeward::admin
