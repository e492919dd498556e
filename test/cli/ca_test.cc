// SPDX-License-Identifier: Apache-2.0
#include "cli/ca.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/fake_environment_fixture.h"
#include "cli/main.h"
#include "pki/command.h"

namespace nodeward::cli {
namespace {

using pki::RunCommand;
using pki::Slurp;
using testing::HasSubstr;

class CaTest : public testing::Test {
 protected:
  int Nodeward(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "ca");
    return cli::Run(fake_.environment(), arguments);
  }
  pki::TempFolder folder_;
  FakeEnvironment fake_;
};

TEST_F(CaTest, RunsWithWhatItWasTold) {
  EXPECT_EQ(Nodeward({"--issuer", "/i", "--token-file", "/t", "--listen",
                      "127.0.0.1:0", "--name", "ca.svc", "--name", "10.0.0.1",
                      "--trusted-agent", "a/b", "--lifetime", "1h"}),
            kOk)
      << fake_.err();
  ASSERT_TRUE(fake_.ran_ca.has_value());
  EXPECT_EQ(fake_.ran_ca->issuer.path, "/i");
  EXPECT_EQ(fake_.ran_ca->lifetime, absl::Hours(1));
  EXPECT_THAT(fake_.ran_ca->names.dns, testing::ElementsAre("ca.svc"));
  EXPECT_EQ(fake_.ran_ca->names.addresses.size(), 1u);
  EXPECT_TRUE(fake_.ran_ca->trusted_agents.contains({"a", "b"}));
}

TEST_F(CaTest, MistakesAreListed) {
  EXPECT_EQ(Nodeward({}), kProblem);
  EXPECT_THAT(fake_.err(), HasSubstr("--issuer: a folder or PEM file"));
  EXPECT_FALSE(fake_.ran_ca.has_value());
}

TEST_F(CaTest, InitIntermediateStatus) {
  const std::string root = folder_ / "root", issuer = folder_ / "issuer";
  ASSERT_EQ(Nodeward({"init", root}), kOk) << fake_.err();
  EXPECT_THAT(fake_.out(), HasSubstr("Your certificate has been saved in"));
  ASSERT_EQ(
      Nodeward({"issue-intermediate", root, issuer, "--lifetime", "2000h"}),
      kOk)
      << fake_.err();
  EXPECT_EQ(RunCommand("openssl verify -x509_strict -CAfile " + root +
                       "/ca.crt " + issuer + "/tls.crt")
                .status,
            0);
  EXPECT_EQ(Slurp(issuer + "/ca.crt"), Slurp(root + "/ca.crt"));
  ASSERT_EQ(Nodeward({"status", issuer}), kOk) << fake_.err();
  EXPECT_THAT(fake_.out(), HasSubstr("issuer   CN=nodeward intermediate,"));
  EXPECT_THAT(fake_.out(), HasSubstr("root     O=cluster.local"));
  EXPECT_THAT(fake_.out(), HasSubstr("83d 7h"));
  EXPECT_THAT(fake_.out(),
              HasSubstr("√ issuer cert is issued by the trust anchor"));
}

TEST_F(CaTest, NothingIsOverwritten) {
  const std::string root = folder_ / "root", issuer = folder_ / "issuer";
  ASSERT_EQ(Nodeward({"init", root}), kOk);
  ASSERT_EQ(Nodeward({"issue-intermediate", root, issuer}), kOk);
  const std::string key = Slurp(root + "/ca.key");
  const std::string issuer_key = Slurp(issuer + "/tls.key");
  EXPECT_EQ(Nodeward({"init", root}), kProblem);
  EXPECT_THAT(fake_.err(), HasSubstr("has a root already"));
  EXPECT_EQ(Nodeward({"issue-intermediate", root, issuer}), kProblem);
  EXPECT_THAT(fake_.err(), HasSubstr("exists (choose another folder"));
  EXPECT_EQ(Slurp(root + "/ca.key"), key);
  EXPECT_EQ(Slurp(issuer + "/tls.key"), issuer_key);
}

TEST_F(CaTest, AnIntermediateIsNoRootAndNeverOutlivesOne) {
  const std::string root = folder_ / "root", issuer = folder_ / "issuer";
  ASSERT_EQ(Nodeward({"init", root, "--lifetime", "1h"}), kOk);
  ASSERT_EQ(Nodeward({"issue-intermediate", root, issuer}), kOk);
  EXPECT_EQ(
      RunCommand("openssl x509 -noout -enddate -in " + root + "/ca.crt").output,
      RunCommand("openssl x509 -noout -enddate -in " + issuer + "/tls.crt")
          .output);
  EXPECT_EQ(Nodeward({"issue-intermediate", issuer, folder_ / "third"}),
            kProblem);
  EXPECT_THAT(fake_.err(), HasSubstr("not self-signed"));
  EXPECT_EQ(Nodeward({"init", folder_ / "x", "--lifetime", "long"}), kProblem);
  EXPECT_THAT(fake_.err(), HasSubstr("--lifetime"));
}

TEST_F(CaTest, StatusSaysWhatIsWrongAndWhatIsSoon) {
  const std::string root = folder_ / "root";
  EXPECT_EQ(Nodeward({"status", root}), kProblem);
  ASSERT_EQ(Nodeward({"init", root, "--lifetime", "48h"}), kOk);
  ASSERT_EQ(Nodeward({"status", root, "-o", "json"}), kOk);
  const std::string out = fake_.out();
  const auto json = base::ParseJson(out.substr(out.find('{')));
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ((*json)["certificates"][0]["role"], "issuer, root");
  EXPECT_THAT((*json)["warnings"][0].get<std::string>(),
              HasSubstr("issuer certificate will expire on "));
}

}  // namespace
}  // namespace nodeward::cli
