// SPDX-License-Identifier: Apache-2.0
#include "cli/check_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/check.h"
#include "cli/fake_environment_fixture.h"
#include "cli/main.h"

namespace nodeward::cli {
namespace {

using testing::HasSubstr;

TEST(CheckOptionsTest, WithoutAClusterItIsThisNode) {
  FakeEnvironment fake;
  fake.answers.insert_or_assign("check", admin::CheckResult({}));
  EXPECT_EQ(cli::Run(fake.environment(), {"check", "--run-dir", "/run/y"}),
            kOk);
  EXPECT_EQ(fake.asked_run_dir, "/run/y");
  EXPECT_TRUE(fake.asked_words.empty());
}

TEST(CheckOptionsTest, AClusterByItsFileOrContext) {
  FakeEnvironment fake;
  EXPECT_EQ(cli::Run(fake.environment(), {"check", "--kubeconfig", "file", "-n",
                                          "mesh", "-o", "json"}),
            kOk);
  EXPECT_EQ(fake.asked_cluster.kubeconfig, "file");
  EXPECT_EQ(fake.asked_cluster.context, "");
  EXPECT_EQ(fake.asked_cluster.name_space, "mesh");
  EXPECT_EQ(cli::Run(fake.environment(), {"check", "--context", "there"}), kOk);
  EXPECT_EQ(fake.asked_cluster.kubeconfig, "");
  EXPECT_EQ(fake.asked_cluster.context, "there");
  EXPECT_EQ(fake.asked_cluster.name_space, "nodeward-system");
}

TEST(CheckOptionsTest, WhatMakesNoSense) {
  FakeEnvironment fake;
  EXPECT_EQ(cli::Run(fake.environment(), {"check", "-n", "mesh"}), kProblem);
  EXPECT_THAT(fake.err(), HasSubstr("--namespace is a cluster's"));
  EXPECT_EQ(cli::Run(fake.environment(), {"check", "--wait", "soon"}),
            kProblem);
  EXPECT_THAT(fake.err(), HasSubstr("--wait soon"));
  EXPECT_EQ(cli::Run(fake.environment(), {"check", "-o", "yaml"}), kUsage);
}

TEST(CheckOptionsTest, HelpHasExamples) {
  FakeEnvironment fake;
  EXPECT_EQ(cli::Run(fake.environment(), {"check", "--help"}), kOk);
  EXPECT_THAT(fake.out(), HasSubstr("nodeward check --kubeconfig"));
}

}  // namespace
}  // namespace nodeward::cli
