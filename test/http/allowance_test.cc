// SPDX-License-Identifier: Apache-2.0
#include "http/allowance.h"

#include <gtest/gtest.h>

namespace nodeward::http {
namespace {

TEST(AllowanceTest, GivesTheBurstThenRefuses) {
  Allowance allowance(3, 1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(allowance.Take(absl::Seconds(5)));
  EXPECT_FALSE(allowance.Take(absl::Seconds(5)));
}

TEST(AllowanceTest, RefillsWithTimeUpToTheBurst) {
  Allowance allowance(2, 10);
  EXPECT_TRUE(allowance.Take(absl::Seconds(1)));
  EXPECT_TRUE(allowance.Take(absl::Seconds(1)));
  EXPECT_FALSE(allowance.Take(absl::Seconds(1)));
  EXPECT_TRUE(allowance.Take(absl::Seconds(1) + absl::Milliseconds(100)));
  EXPECT_FALSE(allowance.Take(absl::Seconds(1) + absl::Milliseconds(150)));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(allowance.Take(absl::Hours(1)));
  EXPECT_FALSE(allowance.Take(absl::Hours(1)));
}

TEST(AllowanceTest, TimeThatStandsStillGivesNothing) {
  Allowance allowance(1, 1000);
  EXPECT_TRUE(allowance.Take(absl::Seconds(9)));
  EXPECT_FALSE(allowance.Take(absl::Seconds(9)));
  EXPECT_FALSE(allowance.Take(absl::Seconds(8)));
}

}  // namespace
}  // namespace nodeward::http
