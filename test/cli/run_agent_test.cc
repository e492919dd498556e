// SPDX-License-Identifier: Apache-2.0
#include "cli/run_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

TEST(RunAgentTest, RunsWithTheSettingsAndReturnsItsStatus) {
  FakeEnvironment fake;
  fake.agent_status = 1;
  const auto status = RunAgent(fake.environment(),
                               {.config = "", .flags = {{"node", "node-z"}}});
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(*status, 1);
  ASSERT_TRUE(fake.ran.has_value());
  EXPECT_EQ(fake.ran->node, "node-z");
}

TEST(RunAgentTest, DoesNotRunWithAMistake) {
  FakeEnvironment fake;
  const auto status =
      RunAgent(fake.environment(), {.config = "/nowhere/x.yaml", .flags = {}});
  EXPECT_THAT(std::string(status.status().message()),
              ::testing::HasSubstr("/nowhere/x.yaml"));
  EXPECT_FALSE(fake.ran.has_value());
}

}  // namespace
}  // namespace nodeward::cli
