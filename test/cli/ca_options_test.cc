// SPDX-License-Identifier: Apache-2.0
#include "cli/ca_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/fake_environment_fixture.h"
#include "pki/command.h"

namespace nodeward::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CaOptionsTest : public testing::Test {
 protected:
  CaOptionsTest() { AddCaOptions(&command_, &options_); }
  void Parse(std::vector<std::string> words) {
    std::reverse(words.begin(), words.end());
    command_.parse(words);
  }

  CLI::App command_;
  CaOptions options_;
  FakeEnvironment fake_;
};

TEST_F(CaOptionsTest, EveryFlagGoesWhereItBelongs) {
  Parse({"--issuer",
         "/i",
         "--issuer-pair",
         "tls.crt",
         "--roots",
         "/r",
         "--trust-domain",
         "a.b",
         "--listen",
         "[::1]:1",
         "--name",
         "n1",
         "--name",
         "n2",
         "--admin",
         "",
         "--lifetime",
         "1h",
         "--max-lifetime",
         "2h",
         "--clock-skew",
         "3s",
         "--token-file",
         "/t",
         "--kubernetes",
         "--kubernetes-api",
         "https://k",
         "--kubernetes-ca",
         "/kc",
         "--kubernetes-token",
         "/kt",
         "--publish-roots",
         "n/c",
         "--publish-to-namespaces",
         "--events-on",
         "n/d",
         "--lease",
         "n/l",
         "--audience",
         "x",
         "--audience",
         "y",
         "--trusted-agent",
         "n/a",
         "--manifests",
         "/m",
         "--rate",
         "4",
         "--burst",
         "5",
         "--in-flight",
         "6",
         "--drain",
         "7s",
         "--log-level",
         "debug",
         "--log-format",
         "json"});
  const ca::Options& run = options_.run;
  EXPECT_EQ(run.issuer, "/i");
  EXPECT_EQ(run.issuer_pair, "tls.crt");
  EXPECT_EQ(run.roots, "/r");
  EXPECT_EQ(run.trust_domain, "a.b");
  EXPECT_EQ(run.listen, "[::1]:1");
  EXPECT_THAT(run.names, ElementsAre("n1", "n2"));
  EXPECT_EQ(run.admin, "");
  EXPECT_EQ(run.lifetime, "1h");
  EXPECT_EQ(run.max_lifetime, "2h");
  EXPECT_EQ(run.clock_skew, "3s");
  EXPECT_EQ(run.token_file, "/t");
  EXPECT_TRUE(run.kubernetes);
  EXPECT_EQ(run.kubernetes_api, "https://k");
  EXPECT_EQ(run.kubernetes_ca, "/kc");
  EXPECT_EQ(run.kubernetes_token, "/kt");
  EXPECT_EQ(run.publish_roots, "n/c");
  EXPECT_TRUE(run.publish_to_namespaces);
  EXPECT_EQ(run.events_on, "n/d");
  EXPECT_EQ(run.lease, "n/l");
  EXPECT_THAT(run.audiences, ElementsAre("x", "y"));
  EXPECT_THAT(run.trusted_agents, ElementsAre("n/a"));
  EXPECT_EQ(run.manifests, "/m");
  EXPECT_EQ(run.rate, 4);
  EXPECT_EQ(run.burst, 5);
  EXPECT_EQ(run.in_flight, 6);
  EXPECT_EQ(run.drain, "7s");
  EXPECT_EQ(run.log_level, "debug");
  EXPECT_EQ(run.log_format, "json");
}

TEST_F(CaOptionsTest, TheHelpNamesDefaultsAndExamples) {
  const std::string help = command_.help();
  for (const char* words :
       {"=[::]:15012", "=24h", "=20s", "=[nodeward-ca]", "Examples:",
        "nodeward ca issue-intermediate /root/ca /etc/issuer", "TokenReview"}) {
    EXPECT_THAT(help, HasSubstr(words));
  }
}

TEST_F(CaOptionsTest, WithoutASubcommandItRuns) {
  Parse({"--issuer", "/i", "--token-file", "/t"});
  const auto status = DispatchCa(fake_.environment(), command_, options_);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_TRUE(fake_.ran_ca.has_value());
}

TEST_F(CaOptionsTest, SubcommandsAreDispatched) {
  pki::TempFolder folder;
  Parse({"init", folder / "root", "--lifetime", "48h"});
  ASSERT_TRUE(DispatchCa(fake_.environment(), command_, options_).ok());
  command_.clear();
  Parse({"issue-intermediate", folder / "root", folder / "issuer",
         "--common-name", "mine"});
  ASSERT_TRUE(DispatchCa(fake_.environment(), command_, options_).ok());
  command_.clear();
  Parse({"status", folder / "issuer", "-o", "json"});
  ASSERT_TRUE(DispatchCa(fake_.environment(), command_, options_).ok());
  EXPECT_THAT(fake_.out(), HasSubstr("CN=mine"));
  EXPECT_FALSE(fake_.ran_ca.has_value());
}

TEST_F(CaOptionsTest, ASecretIsMadeWhereItIsTold) {
  Parse({"create-secret", "n/s", "--trust-domain", "a.b", "--lifetime", "48h",
         "--kubernetes-api", "https://127.0.0.1:1", "--kubernetes-ca", "/kc",
         "--kubernetes-token", "/kt"});
  const CaCreateSecretOptions& options = options_.create_secret;
  EXPECT_EQ(options.secret, "n/s");
  EXPECT_EQ(options.trust_domain, "a.b");
  EXPECT_EQ(options.lifetime, "48h");
  EXPECT_EQ(options.kubernetes_api, "https://127.0.0.1:1");
  EXPECT_EQ(options.kubernetes_ca, "/kc");
  EXPECT_EQ(options.kubernetes_token, "/kt");
  const auto status = DispatchCa(fake_.environment(), command_, options_);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.status().message()), HasSubstr("/kt"));
}

TEST_F(CaOptionsTest, WrongUsageIsRefused) {
  EXPECT_THROW(Parse({"init"}), CLI::ParseError);
  EXPECT_THROW(Parse({"create-secret"}), CLI::ParseError);
  EXPECT_THROW(Parse({"status", "/i", "-o", "xml"}), CLI::ParseError);
  EXPECT_THROW(Parse({"--in-flight", "many"}), CLI::ParseError);
  EXPECT_THROW(Parse({"init", "/a", "status", "/b"}), CLI::ParseError);
}

}  // namespace
}  // namespace nodeward::cli
