// SPDX-License-Identifier: Apache-2.0
#include "pki/root_folder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "pki/command.h"
#include "pki/forge.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;

base::StatusOr<Root> Open(const std::string& folder) {
  return OpenRootFolder(folder, [] { return NewRoot(); });
}

// Fails the test if the folder would have been given a new root.
std::string Refusal(const std::string& folder) {
  const base::StatusOr<Root> root = OpenRootFolder(folder, [] {
    ADD_FAILURE() << "a new root was made";
    return NewRoot();
  });
  EXPECT_FALSE(root.ok());
  return std::string(root.status().message());
}

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class RootFolder : public testing::Test {
 protected:
  void Publish() { ASSERT_TRUE(Open(folder_.path()).ok()); }

  TempFolder folder_;
  const std::string key_ = folder_ / "ca.key";
  const std::string certificate_ = folder_ / "ca.crt";
  const std::string new_certificate_ = folder_ / ".ca.crt.new";
};

TEST_F(RootFolder, IsMadeWithItsParentsAndFilledOnce) {
  const std::string path = folder_ / "var/lib/nodeward/ca";
  const base::StatusOr<Root> first = Open(path);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(ModeOf(path), 0700u);
  EXPECT_EQ(ModeOf(path + "/ca.key"), 0600u);
  EXPECT_THAT(Slurp(path + "/ca.crt"), HasSubstr("BEGIN CERTIFICATE"));
  const base::StatusOr<Root> second = Open(path);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->certificate.Sha256Hex(), first->certificate.Sha256Hex());
  EXPECT_TRUE(second->certificate.Matches(first->key));
}

TEST_F(RootFolder, NeedsNoWritingWhenThePairIsThere) {
  Publish();
  ASSERT_EQ(unlink((folder_ / ".lock").c_str()), 0);
  ASSERT_TRUE(Open(folder_.path()).ok());
  EXPECT_NE(access((folder_ / ".lock").c_str(), F_OK), 0);
}

TEST_F(RootFolder, FinishesWhatACrashLeftBetweenTheTwoRenames) {
  Publish();
  const std::string pem = Slurp(certificate_);
  ASSERT_EQ(rename(certificate_.c_str(), new_certificate_.c_str()), 0);
  const base::StatusOr<Root> root = OpenRootFolder(folder_.path(), [] {
    ADD_FAILURE() << "a new root was made";
    return NewRoot();
  });
  ASSERT_TRUE(root.ok()) << root.status();
  EXPECT_EQ(Slurp(certificate_), pem);
  EXPECT_NE(access(new_certificate_.c_str(), F_OK), 0);
}

TEST_F(RootFolder, StartsAnewOverHalfWrittenFilesThatWereNeverPublished) {
  Spill(folder_ / ".ca.key.new", "-----BEGIN PRIV");
  Spill(new_certificate_, "");
  const base::StatusOr<Root> root = Open(folder_.path());
  ASSERT_TRUE(root.ok()) << root.status();
  EXPECT_EQ(ModeOf(key_), 0600u);
}

TEST_F(RootFolder, RefusesAKeyAlone) {
  Publish();
  ASSERT_EQ(unlink(certificate_.c_str()), 0);
  EXPECT_THAT(Refusal(folder_.path()),
              HasSubstr("ca.key is there but " + certificate_ + " is not"));
  // Neither does an unfinished certificate of another key pass for its own.
  Spill(new_certificate_, NewRoot().certificate.ToPem());
  EXPECT_THAT(Refusal(folder_.path()), HasSubstr("restore"));
}

TEST_F(RootFolder, RefusesACertificateAlone) {
  Publish();
  ASSERT_EQ(unlink(key_.c_str()), 0);
  EXPECT_THAT(Refusal(folder_.path()),
              HasSubstr("ca.crt is there but " + key_ + " is not"));
}

TEST_F(RootFolder, RefusesAPairThatDoesNotMatch) {
  Publish();
  Spill(certificate_, NewRoot().certificate.ToPem());
  EXPECT_THAT(Refusal(folder_.path()), HasSubstr("do not belong together"));
}

TEST_F(RootFolder, RefusesAKeyThatOthersMayRead) {
  Publish();
  ASSERT_EQ(chmod(key_.c_str(), 0640), 0);
  EXPECT_THAT(Refusal(folder_.path()), HasSubstr("chmod 600"));
}

TEST_F(RootFolder, RefusesAFolderThatOthersMayWrite) {
  Publish();
  ASSERT_EQ(chmod(folder_.path().c_str(), 0777), 0);
  EXPECT_THAT(Refusal(folder_.path()), HasSubstr("chmod 700"));
}

TEST_F(RootFolder, RefusesWhatIsNoFolder) {
  const std::string file = Spill(folder_ / "file", "");
  EXPECT_THAT(Refusal(file), HasSubstr("not a folder"));
  EXPECT_THAT(Refusal(file + "/ca"), HasSubstr("make CA folder"));
}

TEST_F(RootFolder, RefusesGarbageFifosAndFolders) {
  Publish();
  Spill(key_, "garbage");
  EXPECT_THAT(Refusal(folder_.path()), HasSubstr(key_));
  ASSERT_EQ(unlink(certificate_.c_str()), 0);
  ASSERT_EQ(mkfifo(certificate_.c_str(), 0600), 0);
  EXPECT_THAT(Refusal(folder_.path()), HasSubstr("not a regular file"));
  ASSERT_EQ(unlink(certificate_.c_str()), 0);
  ASSERT_EQ(mkdir(certificate_.c_str(), 0700), 0);
  EXPECT_THAT(Refusal(folder_.path()), HasSubstr("not a regular file"));
}

TEST_F(RootFolder, PassesOnWhyNoRootCouldBeMade) {
  const base::StatusOr<Root> root =
      OpenRootFolder(folder_.path(), []() -> base::StatusOr<Root> {
        return absl::InternalError("no entropy");
      });
  EXPECT_EQ(std::string(root.status().message()), "no entropy");
  EXPECT_NE(access(key_.c_str(), F_OK), 0);
}

TEST_F(RootFolder, WaitsForTheOneWhoIsMakingIt) {
  const base::Fd lock(
      open((folder_ / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(flock(lock.get(), LOCK_EX), 0);
  std::atomic<bool> opened = false;
  std::thread other([&] {
    EXPECT_TRUE(Open(folder_.path()).ok());
    opened = true;
  });
  // It cannot get past the lock, however long this thread is off the CPU.
  EXPECT_FALSE(opened);
  ASSERT_EQ(flock(lock.get(), LOCK_UN), 0);
  other.join();
  EXPECT_TRUE(opened);
}

TEST_F(RootFolder, ThreadsThatStartAtOnceGetOneRoot) {
  for (int round = 0; round < 10; ++round) {
    const std::string path = folder_ / std::to_string(round);
    std::vector<std::string> hashes(8);
    std::atomic<int> made = 0;
    std::vector<std::thread> threads;
    for (std::string& hash : hashes) {
      threads.emplace_back([&path, &hash, &made] {
        const base::StatusOr<Root> root = OpenRootFolder(path, [&made] {
          ++made;
          return NewRoot();
        });
        ASSERT_TRUE(root.ok()) << root.status();
        hash = root->certificate.Sha256Hex();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(std::set(hashes.begin(), hashes.end()).size(), 1u);
    EXPECT_EQ(made, 1);
  }
}

TEST_F(RootFolder, ProcessesThatStartAtOnceGetOneRoot) {
  const std::string path = folder_ / "shared";
  int results[2];
  int gate[2];
  ASSERT_EQ(pipe(results), 0);
  ASSERT_EQ(pipe(gate), 0);
  constexpr int kProcesses = 16;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child > 0) continue;
    close(gate[1]);
    char byte;
    // Returns when the parent opens the gate by closing its end.
    if (read(gate[0], &byte, 1) != 0) _exit(2);
    const base::StatusOr<Root> root = Open(path);
    if (!root.ok()) _exit(1);
    const std::string line = root->certificate.Sha256Hex() + "\n";
    if (write(results[1], line.data(), line.size()) !=
        static_cast<ssize_t>(line.size())) {
      _exit(3);
    }
    _exit(0);
  }
  close(gate[0]);
  close(gate[1]);
  for (int i = 0; i < kProcesses; ++i) {
    int status = -1;
    ASSERT_GT(wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  close(results[1]);
  std::string text;
  char buffer[4096];
  while (const ssize_t n = read(results[0], buffer, sizeof(buffer))) {
    text.append(buffer, static_cast<size_t>(n));
  }
  close(results[0]);
  EXPECT_EQ(text.size(), kProcesses * 65u);
  for (size_t i = 65; i < text.size(); i += 65) {
    EXPECT_EQ(text.substr(i, 65), text.substr(0, 65));
  }
}

// Kills whole processes at random moments of making the root: whatever is left,
// the next one ends with a whole root, and with the published one if there was
// one.
TEST_F(RootFolder, SurvivesBeingKilledAtAnyMoment) {
  for (int round = 0; round < 60; ++round) {
    const std::string path = folder_ / std::to_string(round);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      (void)Open(path).ok();
      _exit(0);
    }
    for (int spin = 0; spin < round * 4000; ++spin) {
      __asm__ volatile("" ::: "memory");
    }
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    const std::string published = Slurp(path + "/ca.crt");
    const base::StatusOr<Root> root = Open(path);
    ASSERT_TRUE(root.ok()) << root.status();
    if (!published.empty()) {
      EXPECT_EQ(root->certificate.ToPem(), published);
    }
  }
}

}  // namespace
}  // namespace nodeward::pki
