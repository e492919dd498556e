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
    return ReadKubeconfig({pki::Spill(folder_ / "config", text)}, context);
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
  EXPECT_FALSE(ReadKubeconfig({folder_ / "none"}, "").ok());
  EXPECT_THAT(ErrorOf("{"), HasSubstr("kubeconfig "));
  EXPECT_THAT(ErrorOf("---\na: b\n---\na: b\n"),
              HasSubstr("must be one YAML mapping"));
  EXPECT_THAT(ErrorOf("text"), HasSubstr("must be one YAML mapping"));
  EXPECT_THAT(ErrorOf("kind: Pod"), HasSubstr("kind must be Config"));
  EXPECT_THAT(ErrorOf("users: {name: u}"), HasSubstr("users must be a list"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("no current-context"));
  EXPECT_THAT(ErrorOf("kind: Config"), HasSubstr("no current-context"));
  EXPECT_THAT(ErrorOf(Of(", server: 'http://a'", "")), HasSubstr("kubeconfig"));
  EXPECT_THAT(ErrorOf(Of(", certificate-authority-data: '!'", "")),
              HasSubstr("certificate-authority-data is not base64"));
}

// Several files, each in a folder of its own.
class KubeconfigsTest : public testing::Test {
 protected:
  base::StatusOr<ClusterAccess> Read(const std::string& a, const std::string& b,
                                     const std::string& context = "") {
    pki::Spill(first_, a);
    pki::Spill(second_, b);
    return ReadKubeconfig({first_, second_}, context);
  }

  const pki::TempFolder folder_a_, folder_b_;
  const std::string first_ = folder_a_ / "config";
  const std::string second_ = folder_b_ / "config";
};

TEST_F(KubeconfigsTest, EachPartMayBeInAnother) {
  const auto access = Read(
      "users: [{name: u, user: {token: t}}]\n"
      "contexts: [{name: here, context: {cluster: c, user: u}}]\n",
      "current-context: here\n"
      "clusters: [{name: c, cluster: {server: 'https://b'}}]\n");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://b");
  EXPECT_EQ(access->token, "t");
}

TEST_F(KubeconfigsTest, TheFirstThatHasItCountsWhole) {
  const char* const kFirst =
      "current-context: x\n"
      "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
      "clusters: [{name: c, cluster: {server: 'https://a'}}]\n";
  const char* const kSecond =
      "current-context: y\n"
      "contexts:\n"
      "- {name: x, context: {cluster: other, user: other}}\n"
      "- {name: y, context: {cluster: c, user: u}}\n"
      "clusters: [{name: c, cluster: {server: 'https://b', "
      "insecure-skip-tls-verify: true}}]\n"
      "users: [{name: u, user: {token: from b}}]\n";
  auto access = Read(kFirst, kSecond);
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://a");
  EXPECT_FALSE(access->insecure);
  EXPECT_EQ(access->token, "from b");

  access = Read(kFirst, kSecond, "y");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://a");

  access = Read(kSecond, kFirst);
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://b");
  EXPECT_TRUE(access->insecure);
}

TEST_F(KubeconfigsTest, WhatAFileNamesLiesBesideIt) {
  pki::Spill(folder_a_ / "pem", "A");
  pki::Spill(folder_b_ / "pem", "B");
  const auto access = Read(
      "current-context: x\n"
      "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
      "clusters: [{name: c, cluster: {server: 'https://a', "
      "certificate-authority: pem}}]\n",
      "users: [{name: u, user: {client-certificate: pem, client-key: ./pem, "
      "tokenFile: pem, exec: {command: ./x}}}]\n");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->roots, "A");
  EXPECT_EQ(access->certificate, "B");
  EXPECT_EQ(access->key, "B");
  EXPECT_EQ(access->token, "B");
  ASSERT_TRUE(access->plugin.has_value());
  EXPECT_EQ(access->plugin->command, folder_b_ / "./x");
}

TEST_F(KubeconfigsTest, OneThatIsNotThereIsPassedOver) {
  pki::Spill(second_,
             "current-context: x\n"
             "contexts: [{name: x, context: {cluster: c}}]\n"
             "clusters: [{name: c, cluster: {server: 'https://b'}}]\n");
  const std::string empty = pki::Spill(folder_a_ / "empty", "");
  const auto access =
      ReadKubeconfig({first_, empty, second_, folder_b_ / "none"}, "");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->server, "https://b");

  const auto none = ReadKubeconfig({first_, folder_b_ / "none"}, "");
  EXPECT_TRUE(absl::IsNotFound(none.status())) << none.status();
  EXPECT_TRUE(absl::IsNotFound(ReadKubeconfig({}, "").status()));
}

TEST_F(KubeconfigsTest, OneThatIsBrokenIsNamed) {
  const auto broken = Read("current-context: x\n", "{");
  EXPECT_THAT(std::string(broken.status().message()), HasSubstr(second_));
  const auto folder = ReadKubeconfig({first_, folder_b_ / "."}, "");
  EXPECT_THAT(std::string(folder.status().message()),
              HasSubstr(folder_b_ / "."));
  const auto lacking = Read("current-context: x\n",
                            "contexts: [{name: x, context: {cluster: c}}]\n");
  EXPECT_THAT(std::string(lacking.status().message()),
              HasSubstr(base::StrCat(first_, ":", second_,
                                     ": there is no cluster 'c'")));
  const auto wrong =
      Read("current-context: x\n",
           "contexts: [{name: x, context: {cluster: c}}]\n"
           "clusters: [{name: c, cluster: {server: 'http://b'}}]\n");
  EXPECT_THAT(std::string(wrong.status().message()),
              HasSubstr(base::StrCat("kubeconfig ", second_, ": ")));
}

TEST(DefaultKubeconfigsTest, AsKubectlFindsThem) {
  EXPECT_THAT(DefaultKubeconfigs("", "/home/a"),
              ElementsAre("/home/a/.kube/config"));
  EXPECT_THAT(DefaultKubeconfigs("one", "/home/a"), ElementsAre("one"));
  EXPECT_THAT(DefaultKubeconfigs("/a/b:c::d:", "/home/a"),
              ElementsAre("/a/b", "c", "d"));
  EXPECT_TRUE(DefaultKubeconfigs(":", "/home/a").empty());
}

}  // namespace
}  // namespace nodeward::kube
