// SPDX-License-Identifier: Apache-2.0
#include "kube/back_off.h"

#include <gtest/gtest.h>

namespace nodeward::kube {
namespace {

TEST(BackOff, DoublesUpToHalfAMinuteAndStartsAnewAfterAQuietWhile) {
  BackOff back_off;
  const absl::Time now = absl::UnixEpoch();
  EXPECT_EQ(back_off.Next(now, 0), absl::Milliseconds(800));
  EXPECT_EQ(back_off.Next(now, 0), absl::Milliseconds(1600));
  EXPECT_EQ(back_off.Next(now, 1), absl::Milliseconds(6400));
  for (int i = 0; i < 9; ++i) (void)back_off.Next(now, 0);
  EXPECT_EQ(back_off.Next(now, 0), absl::Seconds(30));
  EXPECT_EQ(back_off.Next(now + absl::Minutes(2), 0), absl::Seconds(30));
  EXPECT_EQ(back_off.Next(now + absl::Minutes(5), 0), absl::Milliseconds(800));
}

}  // namespace
}  // namespace nodeward::kube
