// SPDX-License-Identifier: Apache-2.0
#include "cni/kubeconfig.h"

#include <gtest/gtest.h>

#include "base/yaml.h"

namespace nodeward::cni {
namespace {

TEST(KubeconfigTest, ThereAndBack) {
  const Kubeconfig config{"https://10.96.0.1:443", "-----BEGIN…\n", "t0k"};
  const std::string text = TextOf(config);
  const auto read = ReadKubeconfig(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->server, config.server);
  EXPECT_EQ(read->roots, config.roots);
  EXPECT_EQ(read->token, config.token);
}

TEST(KubeconfigTest, IsOneForKubectlToo) {
  const auto documents = base::ParseYaml(TextOf({"https://a:1", "pem", "t"}));
  ASSERT_TRUE(documents.ok()) << documents.status();
  const base::Json& json = documents->front().value;
  EXPECT_EQ(json["kind"], "Config");
  EXPECT_EQ(json["current-context"], json["contexts"][0]["name"]);
  EXPECT_EQ(json["contexts"][0]["context"]["cluster"],
            json["clusters"][0]["name"]);
  EXPECT_EQ(json["contexts"][0]["context"]["user"], json["users"][0]["name"]);
}

TEST(KubeconfigTest, WhatIsBrokenIsRefused) {
  for (const char* text :
       {"", "[]", "{}", R"({"clusters":[],"users":[]})",
        R"({"clusters":[{"cluster":{"server":"https://a",)"
        R"("certificate-authority-data":"%"}}],"users":[{"user":)"
        R"({"token":"t"}}]})",
        R"({"clusters":[{"cluster":{"server":"https://a",)"
        R"("certificate-authority-data":"YQ=="}}],"users":[{"user":{}}]})"}) {
    EXPECT_FALSE(ReadKubeconfig(text).ok()) << text;
  }
}

}  // namespace
}  // namespace nodeward::cni
