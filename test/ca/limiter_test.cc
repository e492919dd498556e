// SPDX-License-Identifier: Apache-2.0
#include "ca/limiter.h"

#include <gtest/gtest.h>

#include <vector>

namespace nodeward::ca {
namespace {

class LimiterTest : public testing::Test {
 protected:
  Limiter::Options Options(double rate, double burst, int in_flight) {
    return {.rate = rate,
            .burst = burst,
            .in_flight = in_flight,
            .max_keys = 3,
            .clock = [this] { return now_; }};
  }
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
};

TEST_F(LimiterTest, BurstThenRate) {
  Limiter limiter(Options(10, 5, 100));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.Enter("a").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(limiter.Enter("a").status()));
  EXPECT_TRUE(limiter.Enter("b").ok());  // each for itself
  now_ += absl::Milliseconds(100);
  EXPECT_TRUE(limiter.Enter("a").ok());
  EXPECT_FALSE(limiter.Enter("a").ok());
  now_ -= absl::Hours(1);  // set back: neither gift nor fine
  EXPECT_FALSE(limiter.Enter("a").ok());
  now_ += absl::Milliseconds(101);
  EXPECT_TRUE(limiter.Enter("a").ok());
}

TEST_F(LimiterTest, InFlightUntilDone) {
  Limiter limiter(Options(1000, 1000, 2));
  auto one = limiter.Enter("a");
  {
    auto two = limiter.Enter("a");
    EXPECT_TRUE(two.ok());
    EXPECT_TRUE(absl::IsResourceExhausted(limiter.Enter("a").status()));
    EXPECT_TRUE(limiter.Enter("b").ok());
    Limiter::Pass moved = *std::move(two);
    EXPECT_FALSE(limiter.Enter("a").ok());
  }
  EXPECT_TRUE(limiter.Enter("a").ok());
}

TEST_F(LimiterTest, KeysAreBounded) {
  Limiter limiter(Options(1, 1, 1));
  for (const char* key : {"a", "b", "c"}) {
    EXPECT_TRUE(limiter.Enter(key).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(limiter.Enter("d").status()));
  now_ += absl::Seconds(2);
  EXPECT_TRUE(limiter.Enter("d").ok());  // the others have rested
}

}  // namespace
}  // namespace nodeward::ca
