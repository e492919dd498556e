// SPDX-License-Identifier: Apache-2.0
#include "pki/revocation.h"

#include <gtest/gtest.h>

#include "pki/revoke.h"

namespace nodeward::pki {
namespace {

TEST(RevocationList, ReadsSeveral) {
  const Root root = NewRoot();
  const Root other = NewRoot("other.example");
  const auto lists = RevocationList::ParsePemBundle(
      RevokePem(root, {}) + "\n" + RevokePem(other, {&other.certificate}));
  ASSERT_TRUE(lists.ok()) << lists.status();
  ASSERT_EQ(lists->size(), 2);
  EXPECT_EQ((*lists)[0].Issuer(), "O=cluster.local");
  EXPECT_EQ((*lists)[1].Issuer(), "O=other.example");
  EXPECT_GT((*lists)[0].next_update(), absl::Now() + absl::Minutes(50));
  EXPECT_NE((*lists)[0].Sha256Hex(), (*lists)[1].Sha256Hex());
}

TEST(RevocationList, RefusesWhatIsBrokenOrNone) {
  const std::string good = RevokePem(NewRoot(), {});
  EXPECT_FALSE(RevocationList::ParsePemBundle("").ok());
  EXPECT_FALSE(
      RevocationList::ParsePemBundle(NewRoot().certificate.ToPem()).ok());
  EXPECT_FALSE(
      RevocationList::ParsePemBundle(good + good.substr(0, good.size() / 2))
          .ok());
}

}  // namespace
}  // namespace nodeward::pki
