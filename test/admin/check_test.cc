// SPDX-License-Identifier: Apache-2.0
#include "admin/check.h"

#include <gtest/gtest.h>

namespace nodeward::admin {
namespace {

TEST(CheckResult, AWarningIsNoFailure) {
  using Result = model::Check::Result;
  model::CheckCategory category{
      "nodeward-identity",
      {{"one"}, {"two", Result::kWarning, "soon", "renew it"}}};
  EXPECT_EQ(CheckResult({category}).dump(),
            R"({"success":true,"categories":[{"categoryName":)"
            R"("nodeward-identity","checks":[{"description":"one","hint":"",)"
            R"("error":"","result":"success"},{"description":"two",)"
            R"("hint":"renew it","error":"soon","result":"warning"}]}]})");
  category.checks[0].result = Result::kError;
  EXPECT_FALSE(base::GetBool(CheckResult({category}), "success", true));
}

}  // namespace
}  // namespace nodeward::admin
