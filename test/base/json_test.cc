// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <gtest/gtest.h>

#include <string>

namespace nodeward::base {
namespace {

TEST(JsonTest, ReadsMembersOrFallsBack) {
  const auto json =
      ParseJson(R"({"s": "x", "i": 7, "b": true, "o": {"a": null}})");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(GetString(*json, "s"), "x");
  EXPECT_EQ(GetString(*json, "i", "d"), "d");
  EXPECT_EQ(GetString(*json, "none", "d"), "d");
  EXPECT_EQ(GetInt(*json, "i"), 7);
  EXPECT_EQ(GetInt(*json, "s", 3), 3);
  EXPECT_TRUE(GetBool(*json, "b"));
  EXPECT_TRUE(GetBool(*json, "s", true));
  EXPECT_TRUE(GetMember(*json, "o").is_object());
  EXPECT_TRUE(GetMember(*json, "none").is_null());
  EXPECT_TRUE(GetMember(GetMember(*json, "s"), "deeper").is_null());
}

TEST(JsonTest, KeepsTheOrderOfKeys) {
  EXPECT_EQ(ParseJson(R"({"b":1,"a":2})")->dump(), R"({"b":1,"a":2})");
}

TEST(JsonTest, RefusesWhatIsNoJson) {
  for (const char* text : {"", "{", "{} x", "{'a': 1}", "[1,]", "nul"}) {
    EXPECT_FALSE(ParseJson(text).ok()) << text;
  }
}

}  // namespace
}  // namespace nodeward::base
