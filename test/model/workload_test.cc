// SPDX-License-Identifier: Apache-2.0
#include "model/workload.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace nodeward::model {
namespace {

TEST(WorkloadTest, ASelectorWantsAllItsLabels) {
  const Labels labels = {{"app", "httpbin"}, {"version", "v1"}};
  EXPECT_TRUE(Selects({}, labels));
  EXPECT_TRUE(Selects({{"app", "httpbin"}}, labels));
  EXPECT_TRUE(Selects(labels, labels));
  EXPECT_FALSE(Selects({{"app", "sleep"}}, labels));
  EXPECT_FALSE(Selects({{"app", "httpbin"}, {"tier", "x"}}, labels));
  EXPECT_FALSE(Selects({{"app", "httpbin"}}, {}));
}

TEST(WorkloadTest, EveryMembershipHasATextOfItsOwn) {
  std::set<std::string> texts;
  for (const Membership membership :
       {Membership::kEnabled, Membership::kNotOptedIn, Membership::kHostNetwork,
        Membership::kSystem, Membership::kSidecar, Membership::kTerminal,
        Membership::kConflict}) {
    texts.emplace(MembershipText(membership));
  }
  EXPECT_EQ(texts.size(), 7u);
  EXPECT_FALSE(texts.contains("unknown"));
}

TEST(WorkloadTest, OnlyEnabledIsInTheMesh) {
  Workload workload;
  workload.opted_in = true;
  workload.membership = Membership::kTerminal;
  EXPECT_FALSE(workload.in_mesh());
  workload.membership = Membership::kEnabled;
  EXPECT_TRUE(workload.in_mesh());
}

}  // namespace
}  // namespace nodeward::model
