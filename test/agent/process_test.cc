// SPDX-License-Identifier: Apache-2.0
#include "agent/process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace nodeward::agent {
namespace {

// PrepareProcess changes the process for good: each case in a child of its own.
int InChild(const std::function<bool()>& holds) {
  const pid_t child = fork();
  if (child == 0) _exit(holds() ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

TEST(PrepareProcessTest, KeysDoNotLeaveTheProcess) {
  EXPECT_EQ(InChild([] {
              rlimit core{1, 1};
              return PrepareProcess().ok() && prctl(PR_GET_DUMPABLE) == 0 &&
                     getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0;
            }),
            0);
}

TEST(PrepareProcessTest, RaisesTheDescriptorLimit) {
  EXPECT_EQ(InChild([] {
              rlimit files{};
              getrlimit(RLIMIT_NOFILE, &files);
              files.rlim_cur = 64;
              setrlimit(RLIMIT_NOFILE, &files);
              return PrepareProcess().ok() &&
                     getrlimit(RLIMIT_NOFILE, &files) == 0 &&
                     files.rlim_cur == files.rlim_max && files.rlim_cur > 64;
            }),
            0);
}

TEST(PrepareProcessTest, WritingToAPipeNobodyReadsDoesNotEndIt) {
  EXPECT_EQ(InChild([] {
              if (!PrepareProcess().ok()) return false;
              int ends[2];
              if (pipe(ends) != 0) return false;
              close(ends[0]);
              return write(ends[1], "x", 1) == -1;
            }),
            0);
}

TEST(PrepareProcessTest, SaysThatItMustBeRoot) {
  EXPECT_EQ(InChild([] {
              if (setuid(65534) != 0) return false;
              const base::Status status = PrepareProcess();
              return status.code() == absl::StatusCode::kPermissionDenied &&
                     status.message().find("run it as root") !=
                         std::string_view::npos;
            }),
            0);
}

}  // namespace
}  // namespace nodeward::agent
