// SPDX-License-Identifier: Apache-2.0
#include "admin/readiness.h"

#include <gtest/gtest.h>

namespace nodeward::admin {
namespace {

TEST(ReadinessTest, NotReadyBeforeAnybodySaysSo) {
  EXPECT_FALSE(Readiness().Get().first);
}

TEST(ReadinessTest, ReadyWithoutAReasonAgainstIt) {
  Readiness readiness;
  readiness.Set({});
  EXPECT_EQ(readiness.Get(), std::make_pair(true, std::string("ready\n")));
}

TEST(ReadinessTest, EveryReasonIsNamed) {
  Readiness readiness;
  readiness.Set({"no certificate", "a policy is broken"});
  EXPECT_EQ(readiness.Get(),
            std::make_pair(false, std::string("not ready\nno certificate\n"
                                              "a policy is broken\n")));
}

}  // namespace
}  // namespace nodeward::admin
