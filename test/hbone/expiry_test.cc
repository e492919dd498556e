// SPDX-License-Identifier: Apache-2.0
#include "hbone/expiry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pki/forge.h"

namespace nodeward::hbone {
namespace {

using testing::HasSubstr;

// Valid from an hour before to `left` from now.
pki::Certificate Ending(absl::Time now, absl::Duration left) {
  const pki::Root root = pki::NewRoot();
  const pki::PrivateKey key = *pki::PrivateKey::GenerateP256();
  return pki::Forge(
      root, key, {.not_before = now - absl::Hours(1), .not_after = now + left});
}

TEST(LastInstantOf, OneLifetimeAfterTheFirstOfTheTwo) {
  const absl::Time now = absl::FromTimeT(absl::ToTimeT(absl::Now()));
  const auto early = Ending(now, absl::Hours(1));  // two hours in all
  const auto late = Ending(now, absl::Hours(9));
  const LastInstant ours = LastInstantOf(early, late, std::nullopt);
  EXPECT_EQ(ours.at, now + absl::Hours(3));
  EXPECT_THAT(ours.why, HasSubstr("our own"));
  EXPECT_THAT(ours.why, HasSubstr(early.SerialHex()));
  const LastInstant theirs = LastInstantOf(late, early, std::nullopt);
  EXPECT_EQ(theirs.at, now + absl::Hours(3));
  EXPECT_THAT(theirs.why, HasSubstr("the peer's"));
}

TEST(LastInstantOf, TheGraceThatIsSet) {
  const absl::Time now = absl::FromTimeT(absl::ToTimeT(absl::Now()));
  const auto early = Ending(now, absl::Hours(1));
  const auto late = Ending(now, absl::Hours(2));
  EXPECT_EQ(LastInstantOf(late, early, absl::ZeroDuration()).at,
            now + absl::Hours(1));
  EXPECT_EQ(LastInstantOf(late, early, absl::Minutes(5)).at,
            now + absl::Hours(1) + absl::Minutes(5));
}

}  // namespace
}  // namespace nodeward::hbone
