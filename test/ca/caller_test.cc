// SPDX-License-Identifier: Apache-2.0
#include "ca/caller.h"

#include <gtest/gtest.h>

namespace nodeward::ca {
namespace {

TEST(CallerTest, ServiceAccountsOnly) {
  const auto caller = ParseUsername("system:serviceaccount:linkerd:a.b-c");
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->name_space, "linkerd");
  EXPECT_EQ(caller->service_account, "a.b-c");
  EXPECT_EQ(caller->Username(), "system:serviceaccount:linkerd:a.b-c");
  for (const char* bad :
       {"", "admin", "system:node:a", "system:serviceaccount:a",
        "system:serviceaccount::b", "system:serviceaccount:a:",
        "system:serviceaccount:a:b:c", "system:serviceaccount:A:b",
        "system:serviceaccount:a.b:c", "system:serviceaccount:a:b/../c",
        "system:serviceaccount:-a:b", "system:serviceaccount:a:b..c"}) {
    EXPECT_TRUE(absl::IsUnauthenticated(ParseUsername(bad).status())) << bad;
  }
  EXPECT_FALSE(
      ParseUsername("system:serviceaccount:" + std::string(64, 'a') + ":b")
          .ok());
}

TEST(CallerTest, KeysTellAgentsApart) {
  Caller a{"ns", "agent", "", "uid-a", "node-a"};
  Caller b{"ns", "agent", "", "uid-b", "node-b"};
  EXPECT_NE(a.Key(), b.Key());
}

}  // namespace
}  // namespace nodeward::ca
