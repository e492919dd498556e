// SPDX-License-Identifier: Apache-2.0
#include "kube/kubeconfig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "pki/command.h"

namespace nodeward::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class KubeconfigTest : public testing::Test {
 protected:
  base::StatusOr<ClusterAccess> Read(const std::string& text,
                                     const std::string& context = "") {
    return ReadKubeconfig(pki::Spill(folder_ / "config", text), context);
  }
  // A file of one cluster, with what is inside of `cluster` and `user`.
  static std::string Of(const std::string& cluster, const std::string& user) {
    return base::StrCat(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
        "contexts:\n"
        "- {name: other, context: {cluster: none, user: u}}\n"
        "- {name: here, context: {cluster: c, user: u, namespace: n}}\n"
        "- {name: nobody, context: {cluster: c}}\n"
        "clusters: [{name: c, cluster: {server: 'https://a:6443/'",
        cluster, "}}]\nusers: [{name: u, user: {", user, "}}]\n");
  }
  std::string ErrorOf(const std::string& text,
                      const std::string& context = "") {
    const auto access = Read(text, context);
    EXPECT_FALSE(access.ok());
    return std::string(access.status().message());
  }

  pki::TempFolder folder_;
};

TEST_F(KubeconfigTest, DataInTheFile) {
  const auto access =
      Read(Of(", certificate-authority-data: Uk9PVFM=, tls-server-name: k, "
              "proxy-url: 'http://p:1'",
              "client-certificate-data: Q0VSVA==, client-key-data: S0VZ, "
              "token: t0ken"));
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://a:6443");
  EXPECT_EQ(access->server_name, "k");
  EXPECT_EQ(access->proxy, "http://p:1");
  EXPECT_EQ(access->roots, "ROOTS");
  EXPECT_EQ(access->certificate, "CERT");
  EXPECT_EQ(access->key, "KEY");
  EXPECT_EQ(access->token, "t0ken");
  EXPECT_FALSE(access->insecure);
  EXPECT_FALSE(access->plugin.has_value());
}

TEST_F(KubeconfigTest, FilesAreRelativeToIt) {
  pki::Spill(folder_ / "roots.pem", "R");
  pki::Spill(folder_ / "cert.pem", "C");
  const std::string key = pki::Spill(folder_ / "key.pem", "K");
  pki::Spill(folder_ / "token", "from a file\n");
  const auto access =
      Read(Of(", certificate-authority: roots.pem",
              base::StrCat("client-certificate: ./cert.pem, client-key: ", key,
                           ", tokenFile: token")));
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->roots, "R");
  EXPECT_EQ(access->certificate, "C");
  EXPECT_EQ(access->key, "K");
  EXPECT_EQ(access->token, "from a file");
  EXPECT_THAT(ErrorOf(Of(", certificate-authority: none.pem", "")),
              HasSubstr("none.pem"));
}

TEST_F(KubeconfigTest, AContextByName) {
  const auto access =
      Read(Of(", insecure-skip-tls-verify: true", "token: t"), "nobody");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->token, "");
  EXPECT_TRUE(access->insecure);
  EXPECT_THAT(ErrorOf(Of("", ""), "other"),
              HasSubstr("there is no cluster 'none'"));
  EXPECT_THAT(ErrorOf(Of("", ""), "none"),
              HasSubstr("there is no context 'none'"));
}

TEST_F(KubeconfigTest, APlugin) {
  const auto access = Read(
      Of("",
         "exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/x, "
         "args: [a, b], env: [{name: K, value: V}], installHint: get it, "
         "provideClusterInfo: true}"));
  ASSERT_TRUE(access.ok()) << access.status();
  ASSERT_TRUE(access->plugin.has_value());
  EXPECT_EQ(access->plugin->command, folder_ / "bin/x");
  EXPECT_THAT(access->plugin->arguments, ElementsAre("a", "b"));
  EXPECT_THAT(access->plugin->environment, ElementsAre(Pair("K", "V")));
  EXPECT_EQ(access->plugin->version, "client.authentication.k8s.io/v1");
  EXPECT_EQ(access->plugin->install_hint, "get it");
  EXPECT_TRUE(access->plugin->wants_cluster);
}

TEST_F(KubeconfigTest, ToActAsAnotherIsNotForgotten) {
  for (const char* user : {"as: somebody", "auth-provider: {name: gcp}",
                           "username: admin, password: x"}) {
    EXPECT_THAT(ErrorOf(Of("", user)), HasSubstr("is not supported"));
  }
}

TEST_F(KubeconfigTest, WhatIsNone) {
  EXPECT_FALSE(ReadKubeconfig(folder_ / "none", "").ok());
  EXPECT_THAT(ErrorOf("{"), HasSubstr("kubeconfig "));
  EXPECT_THAT(ErrorOf(""), HasSubstr("must be one YAML document"));
  EXPECT_THAT(ErrorOf("kind: Config"), HasSubstr("no current-context"));
  EXPECT_THAT(ErrorOf("text"), HasSubstr("no current-context"));
  EXPECT_THAT(ErrorOf(Of(", server: 'http://a'", "")), HasSubstr("kubeconfig"));
  EXPECT_THAT(ErrorOf(Of(", certificate-authority-data: '!'", "")),
              HasSubstr("certificate-authority-data is not base64"));
}

}  // namespace
}  // namespace nodeward::kube
