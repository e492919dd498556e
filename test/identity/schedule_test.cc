// SPDX-License-Identifier: Apache-2.0
#include "identity/schedule.h"

#include <gtest/gtest.h>

namespace nodeward::identity {
namespace {

TEST(RenewalTime, IsHalfOfTheLifeTenPercentEarlierOrLater) {
  const absl::Time start = absl::FromUnixSeconds(1'800'000'000);
  const absl::Time end = start + absl::Hours(20);
  EXPECT_EQ(RenewalTime(start, end, 0), start + absl::Hours(10));
  EXPECT_EQ(RenewalTime(start, end, -1), start + absl::Hours(9));
  EXPECT_EQ(RenewalTime(start, end, 1), start + absl::Hours(11));
}

TEST(Backoff, DoublesUpToItsCap) {
  EXPECT_EQ(Backoff(1, 0, kLongestBackoff), absl::Seconds(1));
  EXPECT_EQ(Backoff(2, 0, kLongestBackoff), absl::Seconds(2));
  EXPECT_EQ(Backoff(8, 0, kLongestBackoff), absl::Seconds(128));
  EXPECT_EQ(Backoff(9, 0, kLongestBackoff), absl::Seconds(150));
  EXPECT_EQ(Backoff(1'000'000, 0, kLongestBackoff), absl::Seconds(150));
}

TEST(Backoff, StraysByTwentyPercent) {
  EXPECT_EQ(Backoff(9, -1, kLongestBackoff), absl::Seconds(120));
  EXPECT_EQ(Backoff(9, 1, kLongestBackoff), absl::Seconds(180));
}

}  // namespace
}  // namespace nodeward::identity
