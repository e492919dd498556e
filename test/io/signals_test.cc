// SPDX-License-Identifier: Apache-2.0
#include "io/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace nodeward::io {
namespace {

TEST(SignalsTest, CallsBackOnTheLoop) {
  auto loop = *Loop::Create();
  int seen = 0;
  const auto signals = Signals::Watch(*loop, [&](int signal) {
    EXPECT_TRUE(loop->InLoopThread());
    seen = signal;
    loop->Stop();
  });
  ASSERT_TRUE(signals.ok()) << signals.status();
  kill(getpid(), SIGTERM);
  loop->Run();
  EXPECT_EQ(seen, SIGTERM);
}

}  // namespace
}  // namespace nodeward::io
