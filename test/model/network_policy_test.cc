// SPDX-License-Identifier: Apache-2.0
#include "model/network_policy.h"

#include <gtest/gtest.h>

namespace nodeward::model {
namespace {

using Operator = LabelSelector::Operator;

TEST(LabelSelectorTest, AnEmptyOneSelectsAll) {
  EXPECT_TRUE(LabelSelector().Selects({}));
  EXPECT_TRUE(LabelSelector().Selects({{"app", "web"}}));
}

TEST(LabelSelectorTest, LabelsAndRequirementsMustAllHold) {
  const LabelSelector selector{
      .labels = {{"app", "web"}},
      .requirements = {{"tier", Operator::kIn, {"front", "back"}},
                       {"old", Operator::kDoesNotExist, {}}}};
  EXPECT_TRUE(selector.Selects({{"app", "web"}, {"tier", "back"}}));
  EXPECT_FALSE(selector.Selects({{"app", "db"}, {"tier", "back"}}));
  EXPECT_FALSE(selector.Selects({{"app", "web"}, {"tier", "none"}}));
  EXPECT_FALSE(
      selector.Selects({{"app", "web"}, {"tier", "back"}, {"old", ""}}));
}

TEST(LabelSelectorTest, ARequirementsOperators) {
  const auto holds = [](Operator op, const Labels& labels) {
    return LabelSelector::Requirement{"k", op, {"a", "b"}}.Holds(labels);
  };
  EXPECT_TRUE(holds(Operator::kIn, {{"k", "b"}}));
  EXPECT_FALSE(holds(Operator::kIn, {{"k", "c"}}));
  EXPECT_FALSE(holds(Operator::kIn, {}));
  EXPECT_FALSE(holds(Operator::kNotIn, {{"k", "b"}}));
  EXPECT_TRUE(holds(Operator::kNotIn, {{"k", "c"}}));
  EXPECT_TRUE(holds(Operator::kNotIn, {}));  // as the API server has it
  EXPECT_TRUE(holds(Operator::kExists, {{"k", ""}}));
  EXPECT_FALSE(holds(Operator::kExists, {{"l", ""}}));
  EXPECT_TRUE(holds(Operator::kDoesNotExist, {{"l", ""}}));
  EXPECT_FALSE(holds(Operator::kDoesNotExist, {{"k", ""}}));
}

}  // namespace
}  // namespace nodeward::model
