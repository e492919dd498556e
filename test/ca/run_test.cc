// SPDX-License-Identifier: Apache-2.0
#include "ca/run.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstdlib>
#include <thread>

#include "ca/authority_process_fixture.h"

namespace nodeward::ca {
namespace {

// In a program of their own: it changes the whole process.
class RunDeathTest : public testing::Test {
 protected:
  RunDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  AuthorityFolder files_;
};

TEST_F(RunDeathTest, WhatKeepsItFromStartingIsItsExitStatus) {
  files_.options_.token_file = files_.folder_ / "nothing";
  EXPECT_EXIT(std::exit(ca::Run(files_.Checked())), testing::ExitedWithCode(1),
              "CA did not start reason=.*nothing");
}

// SIGTERM from outside would need to know when it listens: it is left for it
// from the beginning.
void RunUntilSigterm(const Config& config) {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, nullptr);
  pthread_kill(pthread_self(), SIGTERM);
  const int status = ca::Run(config);
  rlimit core{};
  getrlimit(RLIMIT_CORE, &core);
  if (prctl(PR_GET_DUMPABLE) != 0 || core.rlim_max != 0) std::exit(99);
  std::exit(status);
}

TEST_F(RunDeathTest, ItEndsInOrderAndLeavesNoCore) {
  EXPECT_EXIT(RunUntilSigterm(files_.Checked()), testing::ExitedWithCode(0),
              "CA started(.|\n)*CA stops(.|\n)*CA stopped");
}

}  // namespace
}  // namespace nodeward::ca
