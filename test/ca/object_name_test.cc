// SPDX-License-Identifier: Apache-2.0
#include "ca/object_name.h"

#include <gtest/gtest.h>

namespace nodeward::ca {
namespace {

TEST(ObjectNameTest, IsANamespaceAndAName) {
  const auto parsed = ParseObjectName("nodeward-system/kube-root-ca.crt");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->name_space, "nodeward-system");
  EXPECT_EQ(parsed->name, "kube-root-ca.crt");
  EXPECT_EQ(parsed->ToString(), "nodeward-system/kube-root-ca.crt");
}

TEST(ObjectNameTest, NothingThatWouldLeadElsewhereInAPath) {
  for (const char* text :
       {"", "/", "a", "a/", "/a", "a/b/c", "a/..", "../a", "a/b?x", "A/b",
        "a/b c", "a.b/c", "a/-b", "a/b-", "a/b%2f"}) {
    EXPECT_FALSE(ParseObjectName(text).ok()) << text;
  }
  EXPECT_FALSE(ParseObjectName("a/" + std::string(254, 'b')).ok());
}

}  // namespace
}  // namespace nodeward::ca
