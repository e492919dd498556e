// SPDX-License-Identifier: Apache-2.0
#include "ca/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/text.h"

namespace nodeward::ca {
namespace {

using testing::HasSubstr;

Options Minimal() {
  Options options;
  options.issuer = "/i";
  options.token_file = "/t";
  return options;
}

std::string Mistake(const Options& options) {
  const auto config = CheckOptions(options);
  return config.ok() ? "none" : std::string(config.status().message());
}

TEST(ConfigTest, Defaults) {
  const auto config = CheckOptions(Minimal());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->listen.port, 15012);
  EXPECT_EQ(config->admin.port, 15014);
  EXPECT_EQ(config->lifetime, absl::Hours(24));
  EXPECT_EQ(config->clock_skew, absl::Seconds(20));
  EXPECT_THAT(config->names.dns, testing::ElementsAre("localhost"));
  EXPECT_EQ(config->names.addresses.size(), 2u);
  EXPECT_TRUE(
      config->trusted_agents.contains({"nodeward-system", "nodeward-agent"}));
  EXPECT_EQ(config->kubernetes_api, "");
}

TEST(ConfigTest, PortZeroIsAnyFreeOne) {
  Options options = Minimal();
  options.listen = "127.0.0.1:0";
  options.admin = "";
  const auto config = CheckOptions(options);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->listen.port, 0);
  EXPECT_FALSE(config->serve_admin);
}

TEST(ConfigTest, AllMistakesAtOnce) {
  Options options;
  options.trust_domain = "Upper";
  options.listen = "here";
  options.names = {};
  options.lifetime = "48h";
  options.max_lifetime = "24h";
  options.trusted_agents = {"agent"};
  options.rate = 0;
  options.log_level = "loud";
  const std::string text = Mistake(options);
  for (const char* flag : {"--issuer: ", "--trust-domain: ", "--listen: ",
                           "--name: ", "--lifetime: ", "--kubernetes: ",
                           "--trusted-agent: ", "--rate: ", "--log-level: "}) {
    EXPECT_THAT(text, HasSubstr(flag));
  }
}

TEST(ConfigTest, WhatALeaderDoesTakesKubernetes) {
  Options options = Minimal();
  options.publish_roots = "n/roots";
  options.lease = "n/lease";
  options.events_on = "n/ca";
  for (const char* flag : {"--publish-roots", "--lease", "--events-on"}) {
    EXPECT_THAT(Mistake(options),
                HasSubstr(base::StrCat(flag, ": it needs --kubernetes")));
  }
  options.token_file = "";
  options.kubernetes = true;
  options.kubernetes_api = "https://api";
  const auto config = CheckOptions(options);
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_TRUE(config->publish_roots.has_value());
  EXPECT_EQ(config->publish_roots->ToString(), "n/roots");
  EXPECT_EQ(config->lease->ToString(), "n/lease");
  EXPECT_EQ(config->events_on->ToString(), "n/ca");
  options.publish_to_namespaces = true;
  EXPECT_TRUE(CheckOptions(options)->publish_to_namespaces);
  options.publish_roots = "";
  EXPECT_THAT(Mistake(options),
              HasSubstr("--publish-to-namespaces: it needs --publish-roots"));
  options.publish_roots = "roots";
  EXPECT_THAT(Mistake(options), HasSubstr("'roots' is not NAMESPACE/NAME"));
}

TEST(ConfigTest, KubernetesByThePodsEnvironment) {
  Options options = Minimal();
  options.kubernetes = true;
  EXPECT_THAT(Mistake(options), HasSubstr("exactly one of"));
  options.token_file = "";
  unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_THAT(Mistake(options), HasSubstr("--kubernetes-api"));
  setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  const auto config = CheckOptions(options);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->kubernetes_api, "https://[fd00::1]:443");
  EXPECT_EQ(config->kubernetes_token,
            "/var/run/secrets/kubernetes.io/serviceaccount/token");
  unsetenv("KUBERNETES_SERVICE_HOST");
  options.kubernetes_api = "http://api";
  EXPECT_THAT(Mistake(options), HasSubstr("https://"));
}

}  // namespace
}  // namespace nodeward::ca
