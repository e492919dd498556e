// SPDX-License-Identifier: Apache-2.0
#include "pki/digest.h"

#include <gtest/gtest.h>

namespace nodeward::pki {
namespace {

TEST(DigestTest, KnownAnswer) {
  // FIPS 180-2, "abc"
  const Digest digest = Sha256("abc");
  EXPECT_EQ(digest[0], 0xba);
  EXPECT_EQ(digest[1], 0x78);
  EXPECT_EQ(digest[31], 0xad);
  EXPECT_NE(Sha256(""), digest);
}

TEST(DigestTest, KnownAnswerOfSha1) {
  const auto digest = Sha1("abc");
  EXPECT_EQ(digest[0], 0xa9);
  EXPECT_EQ(digest[19], 0x9d);
}

}  // namespace
}  // namespace nodeward::pki
