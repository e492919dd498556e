// SPDX-License-Identifier: Apache-2.0
#include "model/identity.h"

#include <gtest/gtest.h>

#include <string>

namespace nodeward::model {
namespace {

TEST(IdentityTest, ParsesAndPrints) {
  const auto id =
      Identity::ParseSpiffe("spiffe://cluster.local/ns/mtls-test/sa/sleep");
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(id->trust_domain, "cluster.local");
  EXPECT_EQ(id->name_space, "mtls-test");
  EXPECT_EQ(id->service_account, "sleep");
  EXPECT_EQ(id->ToSpiffe(), "spiffe://cluster.local/ns/mtls-test/sa/sleep");
  EXPECT_EQ(id->ToPrincipal(), "cluster.local/ns/mtls-test/sa/sleep");
}

TEST(IdentityTest, AcceptsWhatTheStandardAllows) {
  for (const char* uri :
       {"spiffe://a/ns/b/sa/c", "spiffe://td-1.x_y/ns/A.b_C-1/sa/D",
        "spiffe://1.2.3.4/ns/ns/sa/sa", "spiffe://td/ns/.../sa/.x"}) {
    const auto id = Identity::ParseSpiffe(uri);
    ASSERT_TRUE(id.ok()) << id.status();
    EXPECT_EQ(id->ToSpiffe(), uri);
  }
}

TEST(IdentityTest, RefusesEverythingElse) {
  const std::string refused[] = {
      "",
      "spiffe://",
      "spiffe:///ns/a/sa/b",
      "SPIFFE://td/ns/a/sa/b",
      "Spiffe://td/ns/a/sa/b",
      "https://td/ns/a/sa/b",
      "spiffe:/td/ns/a/sa/b",
      " spiffe://td/ns/a/sa/b",
      "spiffe://td/ns/a/sa/b ",
      "spiffe://TD/ns/a/sa/b",
      "spiffe://td:80/ns/a/sa/b",
      "spiffe://user@td/ns/a/sa/b",
      "spiffe://t%64/ns/a/sa/b",
      "spiffe://td/ns/a/sa/b/",
      "spiffe://td/ns/a/sa/b/c",
      "spiffe://td/ns/a/sa",
      "spiffe://td/ns/a/sa/",
      "spiffe://td/ns//sa/b",
      "spiffe://td//ns/a/sa/b",
      "spiffe://td/ns/./sa/b",
      "spiffe://td/ns/a/sa/..",
      "spiffe://td/NS/a/sa/b",
      "spiffe://td/ns/a/SA/b",
      "spiffe://td/sa/a/ns/b",
      "spiffe://td/ns/a/sa/b?x=y",
      "spiffe://td/ns/a/sa/b#x",
      "spiffe://td/ns/a%2fb/sa/c",
      "spiffe://td/ns/a b/sa/c",
      "spiffe://td/ns/\xc3\xa4/sa/c",
      std::string("spiffe://td/ns/a/sa/b\0", 22),
      std::string("spiffe://td\0x/ns/a/sa/b", 23),
      "spiffe://" + std::string(256, 'a') + "/ns/a/sa/b",
      "spiffe://td/ns/a/sa/" + std::string(2048, 'b'),
  };
  for (const std::string& uri : refused) {
    EXPECT_FALSE(Identity::ParseSpiffe(uri).ok()) << uri;
  }
}

TEST(IdentityTest, AcceptsTheLongestAndRefusesOneMore) {
  EXPECT_TRUE(
      Identity::ParseSpiffe("spiffe://" + std::string(255, 'a') + "/ns/a/sa/b")
          .ok());
  const std::string head = "spiffe://td/ns/a/sa/";
  EXPECT_TRUE(
      Identity::ParseSpiffe(head + std::string(2048 - head.size(), 'b')).ok());
  EXPECT_FALSE(
      Identity::ParseSpiffe(head + std::string(2049 - head.size(), 'b')).ok());
}

// A certificate's text goes into a log line.
TEST(IdentityTest, ErrorsCarryNoControlCharacters) {
  const auto id =
      Identity::ParseSpiffe("spiffe://td\n/\x1b[31m" + std::string(5000, 'x'));
  ASSERT_FALSE(id.ok());
  const std::string message(id.status().message());
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_LT(message.size(), 300u);
}

}  // namespace
}  // namespace nodeward::model
