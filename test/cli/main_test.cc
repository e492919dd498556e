// SPDX-License-Identifier: Apache-2.0
#include "cli/main.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "agent/settings.h"
#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

using base::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;

class MainTest : public ::testing::Test {
 protected:
  MainTest() {
    fake_.answers.insert_or_assign("edges", Json{{"edges", Json::array()}});
    fake_.answers.insert_or_assign(
        "status", Json{{"healthy", true}, {"pods", Json::array()}});
  }
  int Nodeward(const std::vector<std::string>& arguments) {
    return cli::Run(fake_.environment(), arguments);
  }
  FakeEnvironment fake_;
};

TEST_F(MainTest, WithoutACommandItShowsHelp) {
  EXPECT_EQ(Nodeward({}), kUsage);
  for (const char* command :
       {"agent", "edges", "status", "uninstall", "version", "completion"}) {
    EXPECT_THAT(fake_.err(), HasSubstr(command));
  }
}

TEST_F(MainTest, HelpIsAskedForAndSoGoesToStandardOutput) {
  EXPECT_EQ(Nodeward({"--help"}), kOk);
  EXPECT_THAT(fake_.out(), HasSubstr("Mutual TLS for pods"));
  EXPECT_EQ(fake_.err(), "");
}

TEST_F(MainTest, EveryCommandHasHelpWithExamples) {
  for (const std::string command : {"agent", "cni", "edges", "policy", "status",
                                    "uninstall", "version", "completion"}) {
    FakeEnvironment fake;
    EXPECT_EQ(cli::Run(fake.environment(), {command, "--help"}), kOk);
    EXPECT_THAT(fake.out(), AllOf(HasSubstr("Examples:"),
                                  HasSubstr("nodeward " + command)));
  }
}

TEST_F(MainTest, TheAgentsHelpDocumentsEverySetting) {
  EXPECT_EQ(Nodeward({"agent", "--help"}), kOk);
  for (const agent::Setting& setting : agent::Settings()) {
    EXPECT_THAT(fake_.out(), HasSubstr(agent::FlagOf(setting.key) + "   key " +
                                       std::string(setting.key) + ", "));
  }
  EXPECT_THAT(fake_.out(), HasSubstr("--config FILE"));
}

TEST_F(MainTest, TheVersionHasTwoNames) {
  EXPECT_EQ(Nodeward({"version"}), kOk);
  const std::string once = fake_.out();
  EXPECT_EQ(Nodeward({"--version"}), kOk);
  EXPECT_EQ(fake_.out(), once + once);
}

TEST_F(MainTest, WrongUsageIsStatusTwoAndNamesTheMistake) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"frobnicate"}, "frobnicate"},
      {{"edges", "--nope"}, "--nope"},
      {{"edges", "-o", "yaml"}, "yaml"},
      {{"edges", "web"}, "web"},
      {{"edges", "-n"}, "--namespace"},
      {{"edges", "status"}, "status"},
      {{"status", "-o", "wide"}, "wide"},
      {{"status", "a", "b"}, "b"},
      {{"completion"}, "SHELL"},
      {{"completion", "csh"}, "csh"},
      {{"agent", "--mesh-cidr", "x"}, "--mesh-cidr"},
      {{"uninstall"}, "--node"}};
  for (const auto& [arguments, mistake] : cases) {
    FakeEnvironment fake;
    EXPECT_EQ(cli::Run(fake.environment(), arguments), kUsage) << mistake;
    EXPECT_THAT(fake.err(), HasSubstr(mistake));
    EXPECT_EQ(fake.out(), "");
  }
}

TEST_F(MainTest, EdgesTakesItsOptions) {
  EXPECT_EQ(Nodeward({"edges", "-n", "emojivoto", "-o", "json"}), kOk);
  EXPECT_EQ(base::GetString(fake_.asked_arguments, "namespace"), "emojivoto");
  EXPECT_EQ(fake_.out(), "[]\n");
}

TEST_F(MainTest, TheRunDirStandsBeforeOrAfterTheCommand) {
  Nodeward({"edges"});
  EXPECT_EQ(fake_.asked_run_dir, "/run/fake");
  Nodeward({"--run-dir", "/run/a", "edges"});
  EXPECT_EQ(fake_.asked_run_dir, "/run/a");
  Nodeward({"status", "--run-dir=/run/b"});
  EXPECT_EQ(fake_.asked_run_dir, "/run/b");
}

TEST_F(MainTest, StatusTakesItsOptionsAndGivesItsVerdict) {
  EXPECT_EQ(Nodeward({"status", "-n", "a", "pod-x"}), kOk);
  EXPECT_EQ(fake_.asked_arguments,
            (Json{{"namespace", "a"}, {"pod", "pod-x"}}));
  fake_.answers.insert_or_assign(
      "status", Json{{"healthy", false}, {"pods", Json::array()}});
  EXPECT_EQ(Nodeward({"status"}), kProblem);
}

TEST_F(MainTest, AnErrorIsStatusOneWithTheCommandsName) {
  fake_.answers.clear();
  EXPECT_EQ(Nodeward({"edges"}), kProblem);
  EXPECT_EQ(fake_.err(), "nodeward edges: agent is not running?\n");
  EXPECT_EQ(fake_.out(), "");
}

TEST_F(MainTest, TheAgentTakesEverySettingAsAFlag) {
  EXPECT_EQ(Nodeward({"agent", "--node", "n1", "--trust-domain", "example.org",
                      "--ca-embedded", "/tmp/ca", "--mesh-cidrs",
                      "10.0.0.0/8,fd00::/8", "--log-level=debug", "--workers",
                      "2", "--run-dir", "/tmp/run"}),
            kOk)
      << fake_.err();
  ASSERT_TRUE(fake_.ran.has_value());
  EXPECT_EQ(fake_.ran->node, "n1");
  EXPECT_EQ(fake_.ran->trust_domain, "example.org");
  EXPECT_EQ(fake_.ran->embedded_ca, "/tmp/ca");
  EXPECT_EQ(fake_.ran->mesh_cidrs.size(), 2u);
  EXPECT_EQ(fake_.ran->log_level, base::LogLevel::kDebug);
  EXPECT_EQ(fake_.ran->workers, 2);
  EXPECT_EQ(fake_.ran->run_dir, "/tmp/run");
}

TEST_F(MainTest, TheAgentTakesTheGlobalRunDirToo) {
  EXPECT_EQ(Nodeward({"--run-dir", "/tmp/global", "agent", "--node", "n"}),
            kOk);
  EXPECT_EQ(fake_.ran->run_dir, "/tmp/global");
}

TEST_F(MainTest, AFlagGivenTwiceCountsTheSecondTime) {
  EXPECT_EQ(Nodeward({"agent", "--node", "a", "--node", "b"}), kOk);
  EXPECT_EQ(fake_.ran->node, "b");
}

TEST_F(MainTest, ASwitchNeedsNoValueAndOneIsHeard) {
  std::string file = ::testing::TempDir() + "nodeward-main-XXXXXX";
  close(mkstemp(file.data()));
  std::ofstream(file) << "node: n\ntakeover: true\n";
  const auto takes_over = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> words = {"agent", "--config", file};
    words.insert(words.end(), flags.begin(), flags.end());
    EXPECT_EQ(Nodeward(words), kOk) << fake_.err();
    return fake_.ran->takeover;
  };
  EXPECT_TRUE(takes_over({}));
  EXPECT_FALSE(takes_over({"--takeover=false"}));
  std::ofstream(file) << "node: n\n";
  EXPECT_TRUE(takes_over({"--takeover", "--workers", "2"}));
  EXPECT_TRUE(takes_over({"--takeover=true"}));
  EXPECT_EQ(Nodeward({"agent", "--config", file, "--takeover=maybe"}),
            kProblem);
  EXPECT_THAT(fake_.err(), AllOf(HasSubstr("--takeover"), HasSubstr("maybe"),
                                 HasSubstr("true or false")));
}

TEST_F(MainTest, TheConfigFileIsReadAndItsMistakesComeALineEach) {
  std::string file = ::testing::TempDir() + "nodeward-main-XXXXXX";
  close(mkstemp(file.data()));
  std::ofstream(file) << "node: from-file\nmeshCIDRs: [10.0.0.0/8]\n";
  EXPECT_EQ(Nodeward({"agent", "--config", file, "--mesh-cidrs", ""}), kOk)
      << fake_.err();
  EXPECT_EQ(fake_.ran->node, "from-file");
  EXPECT_TRUE(fake_.ran->mesh_cidrs.empty());
  fake_.ran.reset();
  std::ofstream(file) << "nodes: x\nworkers: y\n";
  EXPECT_EQ(Nodeward({"agent", "--config", file}), kProblem);
  EXPECT_FALSE(fake_.ran.has_value());
  EXPECT_THAT(fake_.err(),
              AllOf(HasSubstr("nodeward agent:\n" + file + ":1: unknown key"),
                    HasSubstr("\n" + file + ":2: workers: ")));
  unlink(file.c_str());
}

TEST_F(MainTest, UninstallGoesToTheDefaultPinsUnlessToldOtherwise) {
  fake_.answers.clear();
  EXPECT_EQ(Nodeward({"uninstall", "--node"}), kOk);
  EXPECT_EQ(fake_.removed_from, "/sys/fs/bpf/nodeward");
  EXPECT_EQ(fake_.plugin_removed_from, "/etc/cni/net.d /opt/cni/bin");
  EXPECT_EQ(Nodeward({"uninstall", "--node", "--cni-conf-dir", "/c",
                      "--cni-bin-dir", "/b"}),
            kOk);
  EXPECT_EQ(fake_.plugin_removed_from, "/c /b");
  EXPECT_EQ(Nodeward({"uninstall", "--node", "--bpf-dir", "/x"}), kOk);
  EXPECT_EQ(fake_.removed_from, "/x");
}

TEST_F(MainTest, CniAnswersTheCallOfARuntime) {
  fake_.plugin_status = 7;
  EXPECT_EQ(Nodeward({"cni"}), 7);
}

TEST_F(MainTest, CompletionKnowsEveryCommandAndFlag) {
  EXPECT_EQ(Nodeward({"completion", "bash"}), kOk);
  EXPECT_THAT(fake_.out(),
              AllOf(HasSubstr("policy) words='"), HasSubstr(" test --"),
                    HasSubstr(" lint"), HasSubstr("--batch")));
  EXPECT_THAT(fake_.out(),
              AllOf(HasSubstr("uninstall) words='"), HasSubstr("--mesh-cidrs"),
                    HasSubstr("--namespace"), HasSubstr(" bash zsh fish'")));
}

}  // namespace
}  // namespace nodeward::cli
