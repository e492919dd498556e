// SPDX-License-Identifier: Apache-2.0
#include "model/authorization.h"

#include <gtest/gtest.h>

#include <set>

namespace nodeward::model {
namespace {

TEST(AuthorizationTest, ConcernsItsScope) {
  Workload workload;
  workload.name_space = "foo";
  workload.labels = {{"app", "httpbin"}};
  AuthorizationPolicy policy;
  policy.name_space = "foo";
  EXPECT_TRUE(policy.Concerns(workload));
  policy.selector = {{"app", "httpbin"}};
  EXPECT_TRUE(policy.Concerns(workload));
  policy.selector = {{"app", "sleep"}};
  EXPECT_FALSE(policy.Concerns(workload));
  policy.selector.clear();
  policy.name_space = "bar";
  EXPECT_FALSE(policy.Concerns(workload));
  policy.mesh_wide = true;
  EXPECT_TRUE(policy.Concerns(workload));
  policy.targeted = true;
  EXPECT_FALSE(policy.Concerns(workload));
}

TEST(AuthorizationTest, HttpAttributesAreTold) {
  for (const Attribute attribute :
       {Attribute::kHost, Attribute::kMethod, Attribute::kPath,
        Attribute::kHeader, Attribute::kRequestPrincipal, Attribute::kAudience,
        Attribute::kPresenter, Attribute::kClaim}) {
    EXPECT_TRUE(IsHttp(attribute)) << AttributeText(attribute);
  }
  for (const Attribute attribute :
       {Attribute::kPrincipal, Attribute::kNamespace,
        Attribute::kServiceAccount, Attribute::kTrustDomain,
        Attribute::kSourceIp, Attribute::kRemoteIp, Attribute::kDestinationIp,
        Attribute::kPort, Attribute::kSni, Attribute::kEnvoyFilter}) {
    EXPECT_FALSE(IsHttp(attribute)) << AttributeText(attribute);
  }
}

TEST(AuthorizationTest, EveryTextIsItsOwn) {
  std::set<std::string_view> texts;
  for (int i = 0; i <= static_cast<int>(Attribute::kClaim); ++i) {
    texts.insert(AttributeText(static_cast<Attribute>(i)));
  }
  EXPECT_EQ(texts.size(), 18u);
  EXPECT_FALSE(texts.contains("unknown"));
  using Action = AuthorizationPolicy::Action;
  EXPECT_EQ(ActionText(Action::kAllow), "ALLOW");
  EXPECT_EQ(ActionText(Action::kDeny), "DENY");
  EXPECT_EQ(ActionText(Action::kAudit), "AUDIT");
  EXPECT_EQ(ActionText(Action::kCustom), "CUSTOM");
}

TEST(PathNormalizationTest, TextsComeBack) {
  for (const PathNormalization mode :
       {PathNormalization::kNone, PathNormalization::kBase,
        PathNormalization::kMergeSlashes, PathNormalization::kDecodeAndMerge}) {
    PathNormalization parsed = PathNormalization::kNone;
    EXPECT_TRUE(ParsePathNormalization(PathNormalizationText(mode), &parsed));
    EXPECT_EQ(parsed, mode);
  }
  PathNormalization untouched = PathNormalization::kBase;
  EXPECT_FALSE(ParsePathNormalization("base", &untouched));
  EXPECT_EQ(untouched, PathNormalization::kBase);
}

}  // namespace
}  // namespace nodeward::model
