// SPDX-License-Identifier: Apache-2.0
#include "base/interned.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

namespace nodeward::base {
namespace {

using Text = Interned<std::string>;

TEST(InternedTest, EqualValuesAreOneCopy) {
  const Text a = "a text that is too long to lie in its string";
  const Text b = std::string("a text that is too long to lie in its string");
  const Text c = "another";
  EXPECT_EQ(&*a, &*b);
  EXPECT_TRUE(a == b);
  EXPECT_FALSE(a == c);
  EXPECT_TRUE(c == "another");
  EXPECT_TRUE(c == std::string("another"));
  EXPECT_FALSE(c == "a");
}

TEST(InternedTest, TheDefaultIsAnEmptyValue) {
  Text text;
  EXPECT_EQ(*text, "");
  EXPECT_TRUE(text == Text(""));
  text = "x";
  EXPECT_EQ(text->size(), 1u);
  text = "";
  EXPECT_TRUE(text == Text());
}

TEST(InternedTest, CopiesMovesAndAssignmentsKeepTheValue) {
  Text a = "first";
  Text b = a;
  Text c = std::move(a);
  b = "second";
  EXPECT_EQ(*b, "second");
  EXPECT_EQ(*c, "first");
  c = b;
  EXPECT_EQ(&*b, &*c);
  const Text& same = c;
  c = same;
  EXPECT_EQ(*c, "second");
}

TEST(InternedTest, ValuesOfOtherTypes) {
  using Labels = std::map<std::string, std::string>;
  Interned<Labels> a;
  a = {{"app", "httpbin"}};
  const Interned<Labels> b = Labels{{"app", "httpbin"}};
  EXPECT_TRUE(a == b);
  const auto size = [](const Labels& labels) { return labels.size(); };
  EXPECT_EQ(size(a), 1u);
}

// Under a sanitizer this finds a node that is freed twice or too early.
TEST(InternedTest, ManyThreadsTakeAndDropTheSameValues) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int round = 0; round < 5000; ++round) {
        const Text a = std::to_string(round % 3);
        const Text b = a;
        ASSERT_EQ(*b, std::to_string(round % 3));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace nodeward::base
