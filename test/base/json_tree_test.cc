// SPDX-License-Identifier: Apache-2.0
#include "base/json_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace nodeward::base {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  const auto document = ParseJsonTree(text);
  return document.ok() ? "" : std::string(document.status().message());
}

TEST(JsonTreeTest, KnowsTheLineOfEveryNode) {
  const auto document = ParseJsonTree(
      "\n{\n  \"a\":\n    5,\n  \"b\": [\n    10\n    ,\n    {\"c\": 1}\n"
      "  ]\n}\n");
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(document->LineOf(""), 2);
  EXPECT_EQ(document->LineOf("/a"), 3);
  EXPECT_EQ(document->LineOf("/b"), 5);
  EXPECT_EQ(document->LineOf("/b/0"), 6);
  EXPECT_EQ(document->LineOf("/b/1"), 8);
  EXPECT_EQ(document->LineOf("/b/1/c"), 8);
  EXPECT_EQ(document->value.dump(), R"({"a":5,"b":[10,{"c":1}]})");
}

TEST(JsonTreeTest, NumbersAreAsYamlReadsThem) {
  const auto fine = ParseJsonTree("[1, -1, 18446744073709551615, 1.5]");
  ASSERT_TRUE(fine.ok()) << fine.status();
  EXPECT_NE(fine->value[0].get_ptr<const int64_t*>(), nullptr);
  EXPECT_TRUE(fine->value[0].is_number_integer());
  EXPECT_FALSE(fine->value[0].is_number_unsigned());
  EXPECT_TRUE(fine->value[2].is_number_unsigned());
}

TEST(JsonTreeTest, SaysWhereItBreaks) {
  EXPECT_THAT(ErrorOf("{\n\"a\": 1,\n\"a\": 2}"),
              HasSubstr("line 3, column 1: duplicate key 'a'"));
  EXPECT_THAT(ErrorOf("{\n\"a\": x}"), HasSubstr("line 2, column 1: "));
  EXPECT_NE(ErrorOf(""), "");
  EXPECT_NE(ErrorOf("{} {}"), "");
  EXPECT_NE(ErrorOf("{\"a\": 1,}"), "");
  EXPECT_THAT(ErrorOf(std::string(65, '[') + std::string(65, ']')),
              HasSubstr("nested deeper than 64"));
  EXPECT_NE(ErrorOf(std::string(1000000, '[')), "");
}

}  // namespace
}  // namespace nodeward::base
