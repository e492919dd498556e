// SPDX-License-Identifier: Apache-2.0
#include "cli/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/check.h"
#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

using Result = model::Check::Result;
using testing::HasSubstr;
using testing::Not;

class CheckCommandTest : public testing::Test {
 protected:
  int Run(const std::string& output = "table") {
    fake_.answers.insert_or_assign("check", admin::CheckResult(categories));
    CheckOptions options;
    options.output = output;
    const auto status = CheckNode(fake_.environment(), options);
    return status.ok() ? *status : -1;
  }
  std::vector<model::CheckCategory> categories = {
      {"nodeward-agent", {{"agent is ready"}}},
      {"nodeward-identity",
       {{"certificate config is valid"},
        {"issuer cert is valid for at least 60 days", Result::kWarning,
         "Issuer expiring soon:\n\t* 0A O=x will expire",
         "give it a new one"}}},
  };
  FakeEnvironment fake_;
};

TEST_F(CheckCommandTest, ReadsAsLinkerds) {
  EXPECT_EQ(Run(), kOk);
  EXPECT_EQ(fake_.out(),
            "nodeward-agent\n"
            "--------------\n"
            "√ agent answers\n"
            "√ agent is ready\n"
            "\n"
            "nodeward-identity\n"
            "-----------------\n"
            "√ certificate config is valid\n"
            "‼ issuer cert is valid for at least 60 days\n"
            "    Issuer expiring soon:\n"
            "        * 0A O=x will expire\n"
            "    see: give it a new one\n"
            "\n"
            "Status check results are √\n");
}

TEST_F(CheckCommandTest, AnErrorFails) {
  categories[0].checks[0].result = Result::kError;
  EXPECT_EQ(Run(), kProblem);
  EXPECT_THAT(fake_.out(), HasSubstr("× agent is ready\n"));
  EXPECT_THAT(fake_.out(), HasSubstr("Status check results are ×\n"));
}

TEST_F(CheckCommandTest, ShortShowsWhatIsNotWell) {
  EXPECT_EQ(Run("short"), kOk);
  EXPECT_THAT(fake_.out(), Not(HasSubstr("nodeward-agent")));
  EXPECT_THAT(fake_.out(), Not(HasSubstr("config is valid")));
  EXPECT_THAT(fake_.out(), HasSubstr("‼ issuer cert"));
}

TEST_F(CheckCommandTest, JsonHasTheSame) {
  EXPECT_EQ(Run("json"), kOk);
  const auto parsed = base::ParseJson(fake_.out());
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(base::GetBool(*parsed, "success"));
  EXPECT_EQ(base::GetMember(*parsed, "categories").size(), 2);
}

TEST_F(CheckCommandTest, WithoutAnAgentItSaysSo) {
  const auto status = CheckNode(fake_.environment(), {});
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(*status, kProblem);
  EXPECT_THAT(fake_.out(), HasSubstr("× agent answers\n"));
}

TEST_F(CheckCommandTest, WaitsUntilThereIsNoError) {
  int asked = 0;
  Environment& environment = fake_.environment();
  environment.ask_agent = [&](const std::string&, const std::string&,
                              const base::Json&) {
    categories[0].checks[0].result =
        ++asked < 3 ? Result::kError : Result::kSuccess;
    return base::StatusOr<base::Json>(admin::CheckResult(categories));
  };
  CheckOptions options;
  options.wait = absl::Seconds(60);
  EXPECT_EQ(*CheckNode(environment, options), kOk);
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace nodeward::cli
