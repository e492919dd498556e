// SPDX-License-Identifier: Apache-2.0
#include "admin/in_charge.h"

#include <gtest/gtest.h>

namespace nodeward::admin {
namespace {

TEST(InChargeTest, TheSamePidNamespaceIsHere) {
  const auto args = InChargeArguments();
  ASSERT_TRUE(args.ok()) << args.status();
  const auto answer = InChargeResult(*args);
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(base::GetBool(*answer, "here"));
}

TEST(InChargeTest, AnotherOrNoneIsNot) {
  for (const base::Json& args :
       {base::Json{{"pidNamespace", "4:4026531835"}}, base::Json(),
        base::Json::object(), base::Json{{"pidNamespace", 7}}}) {
    const auto answer = InChargeResult(args);
    ASSERT_TRUE(answer.ok());
    EXPECT_FALSE(base::GetBool(*answer, "here", true)) << args;
  }
}

}  // namespace
}  // namespace nodeward::admin
