// SPDX-License-Identifier: Apache-2.0
#include "cli/in_charge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

using ::testing::HasSubstr;

TEST(InChargeTest, TheExitStatusTellsWhoseAgentAnswers) {
  for (const bool here : {true, false}) {
    FakeEnvironment fake;
    fake.answers.insert_or_assign("in-charge", base::Json{{"here", here}});
    const auto status = InCharge(fake.environment(), "/run/x");
    ASSERT_TRUE(status.ok()) << status.status();
    EXPECT_EQ(*status, here ? kOk : kProblem);
    EXPECT_EQ(fake.asked_run_dir, "/run/x");
    EXPECT_NE(base::GetString(fake.asked_arguments, "pidNamespace"), "");
    EXPECT_THAT(fake.out(), HasSubstr(here ? "This" : "Another"));
  }
}

TEST(InChargeTest, WithoutAnAgentItIsAnError) {
  FakeEnvironment fake;
  EXPECT_FALSE(InCharge(fake.environment(), "/run/x").ok());
}

}  // namespace
}  // namespace nodeward::cli
