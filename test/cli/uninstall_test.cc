// SPDX-License-Identifier: Apache-2.0
#include "cli/uninstall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kBpfDir[] = "/sys/fs/bpf/x";

UninstallOptions OptionsOf(bool node) {
  return {.run_dir = "/run/x",
          .node = node,
          .bpf_dir = kBpfDir,
          .conf_dir = "/etc/cni/x",
          .bin_dir = "/opt/cni/x"};
}

TEST(UninstallTest, RemovesAndTellsWhat) {
  FakeEnvironment fake;
  fake.removed = std::vector<std::string>{"link a", "rule b"};
  const auto status = Uninstall(fake.environment(), OptionsOf(true));
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(*status, kOk);
  EXPECT_EQ(fake.removed_from, kBpfDir);
  EXPECT_EQ(fake.out(), "link a\nrule b\n");
}

TEST(UninstallTest, TakesThePluginAwayFirst) {
  FakeEnvironment fake;
  fake.removed = std::vector<std::string>{"link a"};
  fake.removed_plugin = std::vector<std::string>{"entry b"};
  const UninstallOptions options{.run_dir = "/run/x",
                                 .node = true,
                                 .bpf_dir = kBpfDir,
                                 .conf_dir = "/conf",
                                 .bin_dir = "/bin"};
  ASSERT_TRUE(Uninstall(fake.environment(), options).ok());
  EXPECT_EQ(fake.plugin_removed_from, "/conf /bin");
  EXPECT_EQ(fake.out(), "entry b\nlink a\n");
  fake.removed_plugin = absl::PermissionDeniedError("no");
  fake.removed_from = "";
  EXPECT_FALSE(Uninstall(fake.environment(), options).ok());
  EXPECT_EQ(fake.removed_from, "");
}

TEST(UninstallTest, NothingToRemoveIsFine) {
  FakeEnvironment fake;
  const auto status = Uninstall(fake.environment(), OptionsOf(true));
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(fake.out(), "Nothing to remove.\n");
}

TEST(UninstallTest, WithoutNodeItSaysWhatItWouldDo) {
  FakeEnvironment fake;
  const auto status = Uninstall(fake.environment(), OptionsOf(false));
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(*status, kUsage);
  EXPECT_THAT(fake.err(), HasSubstr("--node"));
  EXPECT_EQ(fake.removed_from, "");
}

TEST(UninstallTest, RefusesWhileAnAgentRuns) {
  FakeEnvironment fake;
  fake.answers.insert_or_assign("status", base::Json::object());
  const auto running = Uninstall(fake.environment(), OptionsOf(true));
  EXPECT_THAT(std::string(running.status().message()),
              HasSubstr("an agent runs in /run/x: stop it first"));
  // One that cannot be asked may run, too.
  fake.answers.insert_or_assign("status",
                                absl::PermissionDeniedError("not root"));
  EXPECT_THAT(
      std::string(
          Uninstall(fake.environment(), OptionsOf(true)).status().message()),
      HasSubstr("not root"));
  EXPECT_EQ(fake.removed_from, "");
}

TEST(UninstallTest, WhatCannotBeRemovedIsAnError) {
  FakeEnvironment fake;
  fake.removed = absl::PermissionDeniedError("run it as root");
  EXPECT_FALSE(Uninstall(fake.environment(), OptionsOf(true)).ok());
}

}  // namespace
}  // namespace nodeward::cli
