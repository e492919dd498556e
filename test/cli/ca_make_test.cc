// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "cli/ca.h"
#include "cli/fake_environment_fixture.h"
#include "pki/command.h"

namespace nodeward::cli {
namespace {

using pki::RunCommand;
using testing::AllOf;
using testing::HasSubstr;

class CaMakeTest : public testing::Test {
 protected:
  base::Status Init(const std::string& folder,
                    const std::string& lifetime = "87600h") {
    return CaInit(fake_.environment(), {.folder = folder,
                                        .trust_domain = "a.example",
                                        .lifetime = lifetime})
        .status();
  }
  base::Status Intermediate(const std::string& root, const std::string& folder,
                            const std::string& lifetime = "8760h") {
    return CaIssueIntermediate(fake_.environment(),
                               {.root = root,
                                .folder = folder,
                                .trust_domain = "a.example",
                                .common_name = "mine",
                                .lifetime = lifetime})
        .status();
  }
  static std::string Text(const std::string& certificate) {
    return RunCommand("openssl x509 -noout -text -in " + certificate).output;
  }
  static int Mode(const std::string& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : -1;
  }

  pki::TempFolder folder_;
  FakeEnvironment fake_;
  const std::string root_ = folder_ / "root";
};

TEST_F(CaMakeTest, ARootSignsCertificatesAndItsKeyIsItsOwners) {
  ASSERT_TRUE(Init(root_).ok());
  EXPECT_THAT(
      Text(root_ + "/ca.crt"),
      AllOf(HasSubstr("Subject: O = a.example"),
            HasSubstr("Basic Constraints: critical\n                CA:TRUE"),
            HasSubstr("Key Usage: critical\n                "
                      "Certificate Sign, CRL Sign"),
            HasSubstr("ASN1 OID: prime256v1")));
  EXPECT_EQ(Mode(root_ + "/ca.key"), 0600);
  EXPECT_EQ(RunCommand("openssl x509 -noout -checkend 315000000 -in " + root_ +
                       "/ca.crt")
                .status,
            0)
      << "ten years";
}

TEST_F(CaMakeTest, AnIntermediateSignsLeavesAlone) {
  ASSERT_TRUE(Init(root_).ok());
  const std::string issuer = folder_ / "issuer";
  ASSERT_TRUE(Intermediate(root_, issuer).ok());
  EXPECT_THAT(Text(issuer + "/tls.crt"),
              AllOf(HasSubstr("Issuer: O = a.example"),
                    HasSubstr("Subject: O = a.example, CN = mine"),
                    HasSubstr("CA:TRUE, pathlen:0")));
  EXPECT_EQ(Mode(issuer + "/tls.key"), 0600);
  EXPECT_THAT(fake_.out(), HasSubstr("has been saved in " + issuer + "/"));
}

TEST_F(CaMakeTest, ARootOfAnotherProgram) {
  std::filesystem::create_directory(root_);
  ASSERT_EQ(RunCommand("openssl req -x509 -newkey rsa:2048 -nodes -days 9 "
                       "-subj /CN=MicroCA -keyout " +
                       root_ + "/MicroCA.key -out " + root_ + "/MicroCA.crt")
                .status,
            0);
  const base::Status made = Intermediate(root_, folder_ / "issuer");
  ASSERT_TRUE(made.ok()) << made;
  EXPECT_EQ(RunCommand("openssl verify -CAfile " + root_ + "/MicroCA.crt " +
                       (folder_ / "issuer") + "/tls.crt")
                .status,
            0);
}

TEST_F(CaMakeTest, WhatCannotSignMakesNothing) {
  const std::string issuer = folder_ / "issuer";
  EXPECT_FALSE(Intermediate(root_, issuer).ok()) << "no folder";
  ASSERT_TRUE(Init(root_).ok());
  ASSERT_TRUE(Init(folder_ / "other").ok());
  std::filesystem::copy_file((folder_ / "other") + "/ca.key", root_ + "/ca.key",
                             std::filesystem::copy_options::overwrite_existing);
  const base::Status mixed = Intermediate(root_, issuer);
  EXPECT_THAT(std::string(mixed.message()),
              HasSubstr("do not belong together"));
  EXPECT_FALSE(std::filesystem::exists(issuer));
}

TEST_F(CaMakeTest, LifetimesHaveBounds) {
  for (const char* wrong : {"", "1", "59s", "-1h", "438001h", "for ever"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Init(root_, wrong))) << wrong;
    EXPECT_TRUE(
        absl::IsInvalidArgument(Intermediate(root_, folder_ / "issuer", wrong)))
        << wrong;
  }
  EXPECT_FALSE(std::filesystem::exists(root_));
  EXPECT_TRUE(Init(root_, "1m").ok());
}

}  // namespace
}  // namespace nodeward::cli
