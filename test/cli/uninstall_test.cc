// SPDX-License-Identifier: Apache-2.0
#include "cli/uninstall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kBpfDir[] = "/sys/fs/bpf/x";

TEST(UninstallTest, RemovesAndTellsWhat) {
  FakeEnvironment fake;
  fake.removed = std::vector<std::string>{"link a", "rule b"};
  const auto status =
      Uninstall(fake.environment(),
                {.run_dir = "/run/x", .node = true, .bpf_dir = kBpfDir});
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(*status, kOk);
  EXPECT_EQ(fake.removed_from, kBpfDir);
  EXPECT_EQ(fake.out(), "link a\nrule b\n");
}

TEST(UninstallTest, NothingToRemoveIsFine) {
  FakeEnvironment fake;
  const auto status =
      Uninstall(fake.environment(),
                {.run_dir = "/run/x", .node = true, .bpf_dir = kBpfDir});
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(fake.out(), "Nothing to remove.\n");
}

TEST(UninstallTest, WithoutNodeItSaysWhatItWouldDo) {
  FakeEnvironment fake;
  const auto status =
      Uninstall(fake.environment(),
                {.run_dir = "/run/x", .node = false, .bpf_dir = kBpfDir});
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(*status, kUsage);
  EXPECT_THAT(fake.err(), HasSubstr("--node"));
  EXPECT_EQ(fake.removed_from, "");
}

TEST(UninstallTest, RefusesWhileAnAgentRuns) {
  FakeEnvironment fake;
  fake.answers.insert_or_assign("status", base::Json::object());
  const auto running =
      Uninstall(fake.environment(),
                {.run_dir = "/run/x", .node = true, .bpf_dir = kBpfDir});
  EXPECT_THAT(std::string(running.status().message()),
              HasSubstr("an agent runs in /run/x: stop it first"));
  // One that cannot be asked may run, too.
  fake.answers.insert_or_assign("status",
                                absl::PermissionDeniedError("not root"));
  EXPECT_THAT(std::string(Uninstall(fake.environment(), {.run_dir = "/run/x",
                                                         .node = true,
                                                         .bpf_dir = kBpfDir})
                              .status()
                              .message()),
              HasSubstr("not root"));
  EXPECT_EQ(fake.removed_from, "");
}

TEST(UninstallTest, WhatCannotBeRemovedIsAnError) {
  FakeEnvironment fake;
  fake.removed = absl::PermissionDeniedError("run it as root");
  EXPECT_FALSE(
      Uninstall(fake.environment(),
                {.run_dir = "/run/x", .node = true, .bpf_dir = kBpfDir})
          .ok());
}

}  // namespace
}  // namespace nodeward::cli
