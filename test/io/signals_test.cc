// SPDX-License-Identifier: Apache-2.0
#include "io/signals.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <vector>

namespace nodeward::io {
namespace {

TEST(SignalsTest, CallsBackOnTheLoopAndDoesNotKill) {
  auto loop = Loop::Create();
  ASSERT_TRUE(loop.ok()) << loop.status();
  std::vector<int> seen;
  auto signals = Signals::Watch(**loop, [&](int signal) {
    seen.push_back(signal);
    if (seen.size() == 2) (*loop)->Stop();
  });
  ASSERT_TRUE(signals.ok()) << signals.status();
  raise(SIGTERM);
  raise(SIGINT);
  (*loop)->Run();
  EXPECT_EQ(seen.size(), 2u);
}

}  // namespace
}  // namespace nodeward::io
