// SPDX-License-Identifier: Apache-2.0
#include "cli/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/check.h"
#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

using Result = model::Check::Result;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class CheckCommandTest : public testing::Test {
 protected:
  int Run(const std::string& output = "table") {
    fake_.answers.insert_or_assign("check", admin::CheckResult(categories));
    CheckOptions options;
    options.output = output;
    const auto status = RunCheck(fake_.environment(), options);
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
  const auto status = RunCheck(fake_.environment(), {});
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
  EXPECT_EQ(*RunCheck(environment, options), kOk);
  EXPECT_EQ(asked, 3);
}

// ---- a cluster ----

class CheckClusterTest : public CheckCommandTest {
 protected:
  CheckClusterTest() {
    const model::CheckCategory well{"nodeward-agent", {{"agent answers"}}};
    fake_.agents = std::vector<kube::AgentAnswer>{
        {"node-a", "agent-1", admin::CheckResult({well})},
        {"node-b", "agent-2", admin::CheckResult(categories)}};
  }
  int RunCluster(const std::string& output = "table") {
    CheckOptions options;
    options.output = output;
    options.cluster = ClusterOptions{.kubeconfig = "file", .context = "there"};
    const auto status = RunCheck(fake_.environment(), options);
    return status.ok() ? *status : -1;
  }
};

TEST_F(CheckClusterTest, ShowsEveryNode) {
  EXPECT_EQ(RunCluster(), kOk);
  EXPECT_EQ(fake_.asked_cluster.kubeconfig, "file");
  EXPECT_EQ(fake_.asked_cluster.context, "there");
  EXPECT_EQ(fake_.asked_cluster.name_space, "nodeward-system");
  EXPECT_THAT(fake_.asked_words, ElementsAre("check", "-o", "json"));
  EXPECT_EQ(fake_.out(),
            "node-a\n"
            "======\n"
            "\n"
            "nodeward-agent\n"
            "--------------\n"
            "√ agent answers\n"
            "\n"
            "node-b\n"
            "======\n"
            "\n"
            "nodeward-agent\n"
            "--------------\n"
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

TEST_F(CheckClusterTest, AnAgentThatCannotBeAskedIsAnError) {
  fake_.agents->at(0).answer = absl::UnavailableError("its pod is gone");
  EXPECT_EQ(RunCluster("short"), kProblem);
  EXPECT_THAT(fake_.out(), HasSubstr("node-a\n======\n\n"
                                     "× agent can be asked\n"
                                     "    its pod is gone\n\n"
                                     "node-b\n======\n\n"
                                     "nodeward-identity\n"));
  EXPECT_THAT(fake_.out(), HasSubstr("Status check results are ×\n"));
}

TEST_F(CheckClusterTest, ShortLeavesOutNodesThatAreWell) {
  EXPECT_EQ(RunCluster("short"), kOk);
  EXPECT_THAT(fake_.out(), Not(HasSubstr("node-a")));
  EXPECT_THAT(fake_.out(), HasSubstr("node-b"));
}

TEST_F(CheckClusterTest, JsonIsByNode) {
  fake_.agents->at(0).answer = absl::UnavailableError("its pod is gone");
  EXPECT_EQ(RunCluster("json"), kProblem);
  const auto parsed = base::ParseJson(fake_.out());
  ASSERT_TRUE(parsed.ok());
  EXPECT_FALSE(base::GetBool(*parsed, "success"));
  const base::Json& nodes = base::GetMember(*parsed, "nodes");
  ASSERT_EQ(nodes.size(), 2);
  EXPECT_EQ(base::GetString(nodes[0], "node"), "node-a");
  EXPECT_EQ(base::GetString(nodes[0], "error"), "its pod is gone");
  EXPECT_FALSE(base::GetBool(nodes[0], "success"));
  EXPECT_TRUE(base::GetBool(nodes[1], "success"));
  EXPECT_EQ(base::GetMember(nodes[1], "categories").size(), 2);
}

TEST_F(CheckClusterTest, WhereNoneIsFoundItFails) {
  fake_.agents = absl::NotFoundError("no agent");
  EXPECT_EQ(RunCluster(), -1);
}

}  // namespace
}  // namespace nodeward::cli
