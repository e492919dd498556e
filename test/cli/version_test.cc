// SPDX-License-Identifier: Apache-2.0
#include "cli/version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

TEST(VersionTest, IsNameAndNumber) {
  FakeEnvironment fake;
  EXPECT_EQ(ShowVersion(fake.environment()), kOk);
  EXPECT_THAT(fake.out(), ::testing::ContainsRegex(
                              "^nodeward [0-9]+\\.[0-9]+\\.[0-9]+\n$"));
}

}  // namespace
}  // namespace nodeward::cli
