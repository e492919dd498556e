// SPDX-License-Identifier: Apache-2.0
#include "policy/trust_domain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nodeward::policy {
namespace {

using ::testing::ElementsAre;

TEST(TrustDomainsTest, AcceptsItsOwnAndItsAliases) {
  const TrustDomains domains("td", {"old-td"});
  EXPECT_TRUE(domains.Accepts("td"));
  EXPECT_TRUE(domains.Accepts("old-td"));
  EXPECT_FALSE(domains.Accepts("cluster.local"));
  EXPECT_FALSE(domains.Accepts(""));
  EXPECT_FALSE(TrustDomains("cluster.local", {}).Accepts("td"));
}

TEST(TrustDomainsTest, WithoutAliasesOnlyTheLocalNameIsSpeltOut) {
  const TrustDomains domains("td", {});
  EXPECT_THAT(domains.Expand({"cluster.local/ns/a/sa/b"}),
              ElementsAre("td/ns/a/sa/b"));
  EXPECT_THAT(domains.Expand({"td/ns/a/sa/b"}), ElementsAre("td/ns/a/sa/b"));
}

TEST(TrustDomainsTest, ExpandsWhatNamesOneOfOurs) {
  const TrustDomains domains("new-td", {"old-td", "x.org"});
  const struct {
    const char* principal;
    std::vector<std::string> expanded;
  } rows[] = {
      {"old-td/ns/a/sa/b",
       {"new-td/ns/a/sa/b", "old-td/ns/a/sa/b", "x.org/ns/a/sa/b"}},
      {"cluster.local/ns/a/sa/b",
       {"new-td/ns/a/sa/b", "old-td/ns/a/sa/b", "x.org/ns/a/sa/b"}},
      {"new-td/ns/a/sa/*",
       {"new-td/ns/a/sa/*", "old-td/ns/a/sa/*", "x.org/ns/a/sa/*"}},
      {"foreign/ns/a/sa/b", {"foreign/ns/a/sa/b"}},
      {"*/ns/a/sa/b", {"*/ns/a/sa/b"}},
      // "*-td" stays for those it covers, and is spelt out for the others.
      {"*-td/ns/a/sa/b", {"*-td/ns/a/sa/b", "x.org/ns/a/sa/b"}},
      // A prefix names one when it spells it.
      {"new*/ns/a/sa/b",
       {"new-td/ns/a/sa/b", "old-td/ns/a/sa/b", "x.org/ns/a/sa/b"}},
      // Not five segments.
      {"old-td/ns/a/*", {"old-td/ns/a/*"}},
      {"old-td/*", {"old-td/*"}},
      {"old-td*", {"old-td*"}},
      {"*", {"*"}},
      {"*/sa/b", {"*/sa/b"}},
      {"old-td/ns/a/sa/b/c", {"old-td/ns/a/sa/b/c"}},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(domains.Expand({row.principal}), row.expanded) << row.principal;
  }
  EXPECT_THAT(domains.Expand({"*", "foreign/ns/a/sa/b"}),
              ElementsAre("*", "foreign/ns/a/sa/b"));
}

TEST(TrustDomainsTest, ForeignOnesAreAcceptedButNeverMeantByOurNames) {
  const TrustDomains domains("td", {"old-td"}, {"partner"});
  EXPECT_TRUE(domains.Accepts("partner"));
  EXPECT_FALSE(domains.Accepts("stranger"));
  EXPECT_THAT(domains.Expand({"td/ns/a/sa/b"}),
              ::testing::ElementsAre("td/ns/a/sa/b", "old-td/ns/a/sa/b"));
}

}  // namespace
}  // namespace nodeward::policy
