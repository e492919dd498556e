// SPDX-License-Identifier: Apache-2.0
#include "cli/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

namespace nodeward::cli {
namespace {

TEST(EnvironmentTest, TheRunDirComesFromTheEnvironment) {
  unsetenv("NODEWARD_RUN_DIR");
  EXPECT_EQ(ProcessEnvironment().run_dir, "/run/nodeward");
  setenv("NODEWARD_RUN_DIR", "/run/elsewhere", 1);
  EXPECT_EQ(ProcessEnvironment().run_dir, "/run/elsewhere");
  unsetenv("NODEWARD_RUN_DIR");
}

TEST(EnvironmentTest, AsksTheAgentThroughItsSocket) {
  const auto answer =
      ProcessEnvironment().ask_agent("/nowhere/run", "edges", {});
  EXPECT_TRUE(absl::IsUnavailable(answer.status()));
  EXPECT_THAT(std::string(answer.status().message()),
              ::testing::HasSubstr("/nowhere/run/control.sock"));
}

}  // namespace
}  // namespace nodeward::cli
