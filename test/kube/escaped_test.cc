// SPDX-License-Identifier: Apache-2.0
#include "kube/escaped.h"

#include <gtest/gtest.h>

namespace nodeward::kube {
namespace {

TEST(EscapedTest, AllButTheUnreserved) {
  EXPECT_EQ(Escaped("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(Escaped("a b/c?d=e&f"), "a%20b%2Fc%3Fd%3De%26f");
  EXPECT_EQ(Escaped("%\xff\n"), "%25%FF%0A");
  EXPECT_EQ(Escaped(""), "");
}

}  // namespace
}  // namespace nodeward::kube
