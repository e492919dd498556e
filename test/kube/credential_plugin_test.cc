// SPDX-License-Identifier: Apache-2.0
#include "kube/credential_plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/text.h"
#include "pki/command.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;

class CredentialPluginTest : public testing::Test {
 protected:
  CredentialPluginTest() {
    access_.server = "https://a:1";
    access_.roots = "R";
    access_.plugin =
        CredentialPlugin{.command = folder_ / "plugin",
                         .arguments = {"one", "two words"},
                         .environment = {{"FROM", folder_.path()}},
                         .version = "client.authentication.k8s.io/v1",
                         .install_hint = "install it",
                         .wants_cluster = true};
  }
  base::Status Fetch(const std::string& script) {
    pki::Spill(folder_ / "plugin", "#!/bin/sh\n" + script);
    chmod((folder_ / "plugin").c_str(), 0755);
    return FetchCredential(&access_);
  }

  pki::TempFolder folder_;
  ClusterAccess access_;
};

TEST_F(CredentialPluginTest, TellsAToken) {
  ASSERT_TRUE(Fetch("echo \"$KUBERNETES_EXEC_INFO\" > \"$FROM/asked\"\n"
                    "echo '{\"status\":{\"token\":\"'$1-$2'\"}}'\n")
                  .ok());
  EXPECT_EQ(access_.token, "one-two words");
  const auto asked = base::ParseJson(pki::Slurp(folder_ / "asked"));
  ASSERT_TRUE(asked.ok());
  EXPECT_EQ(base::GetString(*asked, "apiVersion"),
            "client.authentication.k8s.io/v1");
  const base::Json& spec = base::GetMember(*asked, "spec");
  EXPECT_TRUE(base::GetMember(spec, "interactive").is_boolean());
  const base::Json& cluster = base::GetMember(spec, "cluster");
  EXPECT_EQ(base::GetString(cluster, "server"), "https://a:1");
  EXPECT_EQ(base::GetString(cluster, "certificate-authority-data"), "Ug==");
}

TEST_F(CredentialPluginTest, OrACertificate) {
  ASSERT_TRUE(Fetch("echo '{\"status\":{\"clientCertificateData\":\"C\","
                    "\"clientKeyData\":\"K\"}}'\n")
                  .ok());
  EXPECT_EQ(access_.certificate, "C");
  EXPECT_EQ(access_.key, "K");
}

TEST_F(CredentialPluginTest, SaysWhyItFails) {
  const auto why = [&](const std::string& script) {
    const base::Status status = Fetch(script);
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  };
  EXPECT_THAT(why("exit 7\n"), HasSubstr("it ended with status 7\ninstall it"));
  EXPECT_THAT(why("kill -9 $$\n"), HasSubstr("by signal 9"));
  EXPECT_THAT(why("echo hello\n"), HasSubstr("no JSON"));
  EXPECT_THAT(why("echo '{}'\n"), HasSubstr("neither"));
  access_.plugin->command = folder_ / "none";
  EXPECT_THAT(why(""), HasSubstr("install it"));
}

TEST_F(CredentialPluginTest, WithoutOneThereIsNothingToDo) {
  access_.plugin.reset();
  EXPECT_TRUE(FetchCredential(&access_).ok());
}

}  // namespace
}  // namespace nodeward::kube
