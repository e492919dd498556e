// SPDX-License-Identifier: Apache-2.0
#include "observe/flow.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace nodeward::observe {
namespace {

TEST(FlowTest, EveryOutcomeHasATextOfItsOwnThatIsALabelValue) {
  std::set<std::string> texts;
  int count = 0;
  for (int i = 0; i <= static_cast<int>(Outcome::kLimit); ++i, ++count) {
    const std::string text(OutcomeText(static_cast<Outcome>(i)));
    EXPECT_EQ(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"),
              std::string::npos)
        << text;
    EXPECT_NE(text, "unknown");
    texts.insert(text);
  }
  EXPECT_EQ(texts.size(), static_cast<size_t>(count));
}

TEST(FlowTest, RefusalsAreNodewardsOwnDecisions) {
  EXPECT_TRUE(IsRefusal(Outcome::kDeniedPlaintext));
  EXPECT_TRUE(IsRefusal(Outcome::kPolicyChanged));
  EXPECT_TRUE(IsRefusal(Outcome::kSilent));
  EXPECT_TRUE(IsRefusal(Outcome::kDeniedRequest));
  EXPECT_TRUE(IsOfRequest(Outcome::kBadRequest));
  EXPECT_FALSE(IsOfRequest(Outcome::kDeniedPolicy));
  EXPECT_FALSE(IsRefusal(Outcome::kClosed));
  EXPECT_FALSE(IsRefusal(Outcome::kUpstreamRefused));
  EXPECT_FALSE(IsRefusal(Outcome::kPodGone));
}

TEST(FlowTest, SecurityAndReporterHaveTexts) {
  EXPECT_EQ(SecurityText(Security::kUnknown), "unknown");
  EXPECT_EQ(SecurityText(Security::kMutualTls), "mutual_tls");
  EXPECT_EQ(SecurityText(Security::kPlaintext), "plaintext");
  EXPECT_EQ(SecurityText(Security::kPassthroughTls), "passthrough_tls");
  EXPECT_EQ(SecurityText(Security::kOriginatedTls), "originated_tls");
  EXPECT_EQ(ReporterText(Reporter::kSource), "source");
  EXPECT_EQ(ReporterText(Reporter::kDestination), "destination");
}

}  // namespace
}  // namespace nodeward::observe
