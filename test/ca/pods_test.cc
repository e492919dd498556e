// SPDX-License-Identifier: Apache-2.0
#include "ca/pods.h"

#include <gtest/gtest.h>

#include "ca/pods_fixture.h"

namespace nodeward::ca {
namespace {

using model::Membership;

TEST(PodsTest, FoundByNameUnlessEnded) {
  const auto pods =
      MakePods({Pod("a", "n"), Pod("b", "n", Membership::kTerminal)});
  ASSERT_NE(*pods->Find("mesh", "a"), nullptr);
  EXPECT_EQ((*pods->Find("mesh", "a"))->uid, "uid-a");
  EXPECT_EQ(*pods->Find("mesh", "b"), nullptr);
  EXPECT_EQ(*pods->Find("other", "a"), nullptr);
}

TEST(PodsTest, OfSeveralOnANodeOneInTheMesh) {
  const model::Identity a{"cluster.local", "mesh", "a"};
  for (const bool first : {true, false}) {
    const auto in = Pod("a", "n");
    const auto out = Pod("a", "n", Membership::kHostNetwork);
    const auto pods = first ? MakePods({in, out}) : MakePods({out, in});
    EXPECT_EQ(*pods->OnNode("n", a), in);
    EXPECT_EQ(*pods->OnNode("m", a), nullptr);
  }
  const auto only = MakePods({Pod("a", "n", Membership::kTerminal)});
  ASSERT_NE(*only->OnNode("n", a), nullptr);
  EXPECT_FALSE((*only->OnNode("n", a))->in_mesh());
}

}  // namespace
}  // namespace nodeward::ca
