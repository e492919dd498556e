// SPDX-License-Identifier: Apache-2.0
#include "model/policy.h"

#include <gtest/gtest.h>

namespace nodeward::model {
namespace {

TEST(PolicyTest, ModesReadAsInYaml) {
  EXPECT_EQ(MtlsModeText(MtlsMode::kUnset), "UNSET");
  EXPECT_EQ(MtlsModeText(MtlsMode::kDisable), "DISABLE");
  EXPECT_EQ(MtlsModeText(MtlsMode::kPermissive), "PERMISSIVE");
  EXPECT_EQ(MtlsModeText(MtlsMode::kStrict), "STRICT");
}

TEST(PolicyTest, AClosingPolicyConcernsItsScope) {
  Workload httpbin;
  httpbin.name_space = "mtls-test";
  httpbin.labels = {{"app", "httpbin"}};
  const auto concerns = [&](const char* ns, bool mesh, Labels selector) {
    ClosingPolicy policy;
    policy.name_space = ns;
    policy.mesh_wide = mesh;
    policy.selector = selector;
    return policy.Concerns(httpbin);
  };
  EXPECT_TRUE(concerns("mtls-test", false, {}));
  EXPECT_TRUE(concerns("mtls-test", false, {{"app", "httpbin"}}));
  EXPECT_FALSE(concerns("mtls-test", false, {{"app", "sleep"}}));
  EXPECT_FALSE(concerns("full", false, {}));
  EXPECT_TRUE(concerns("istio-system", true, {}));
  EXPECT_TRUE(concerns("", true, {{"app", "httpbin"}}));
  EXPECT_FALSE(concerns("", true, {{"app", "sleep"}}));
}

}  // namespace
}  // namespace nodeward::model
