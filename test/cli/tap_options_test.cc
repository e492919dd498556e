// SPDX-License-Identifier: Apache-2.0
#include "cli/tap_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/fake_environment_fixture.h"
#include "cli/main.h"

namespace nodeward::cli {
namespace {

using ::testing::HasSubstr;

TEST(TapOptionsTest, EveryOptionReachesTheAgent) {
  FakeEnvironment fake;
  EXPECT_EQ(cli::Run(fake.environment(),
                     {"tap", "deploy/web", "-n", "emojivoto", "--to",
                      "svc/voting", "--to-namespace", "other", "--method",
                      "GET", "--path", "/api", "--authority", "h:80",
                      "--max-rps", "7", "--run-dir", "/run/y"}),
            kOk);
  EXPECT_EQ(fake.asked_run_dir, "/run/y");
  EXPECT_EQ(fake.asked_arguments.dump(),
            R"({"resource":"deploy/web","namespace":"emojivoto",)"
            R"("to":"svc/voting","to_namespace":"other","method":"GET",)"
            R"("path":"/api","authority":"h:80","max_rps":7})");
}

TEST(TapOptionsTest, WithoutAnyItIsTheWholeNode) {
  FakeEnvironment fake;
  EXPECT_EQ(cli::Run(fake.environment(), {"tap"}), kOk);
  EXPECT_EQ(fake.asked_run_dir, "/run/fake");
  EXPECT_EQ(base::GetString(fake.asked_arguments, "resource", "?"), "");
  EXPECT_EQ(base::GetInt(fake.asked_arguments, "max_rps"), 100);
}

TEST(TapOptionsTest, FormatsAreLinesWideAndJson) {
  for (const std::string format : {"lines", "wide", "json"}) {
    FakeEnvironment fake;
    EXPECT_EQ(cli::Run(fake.environment(), {"tap", "-o", format}), kOk);
  }
  FakeEnvironment fake;
  EXPECT_EQ(cli::Run(fake.environment(), {"tap", "-o", "yaml"}), kUsage);
  EXPECT_THAT(fake.err(), HasSubstr("nodeward tap: "));
}

TEST(TapOptionsTest, HelpHasExamples) {
  FakeEnvironment fake;
  EXPECT_EQ(cli::Run(fake.environment(), {"tap", "--help"}), kOk);
  EXPECT_THAT(fake.out(), HasSubstr("Examples:\n  nodeward tap deploy/web"));
  EXPECT_THAT(fake.out(), HasSubstr("--max-rps NUMBER [100]"));
}

TEST(TapOptionsTest, ShellsKnowIt) {
  FakeEnvironment fake;
  EXPECT_EQ(cli::Run(fake.environment(), {"completion", "bash"}), kOk);
  EXPECT_THAT(fake.out(), HasSubstr("--authority"));
}

}  // namespace
}  // namespace nodeward::cli
