// SPDX-License-Identifier: Apache-2.0
#include "base/tree_builder.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace nodeward::base {
namespace {

TEST(TreeBuilderTest, BuildsATreeWithLines) {
  TreeBuilder tree(3);
  ASSERT_TRUE(tree.StartMap(3).ok());
  EXPECT_TRUE(tree.AwaitsKey());
  ASSERT_TRUE(tree.Key("a/b", 4).ok());
  EXPECT_FALSE(tree.AwaitsKey());
  ASSERT_TRUE(tree.StartSequence(5).ok());
  EXPECT_FALSE(tree.AwaitsKey());
  ASSERT_TRUE(tree.Value(1, 6).ok());
  ASSERT_TRUE(tree.Value("x", 7).ok());
  ASSERT_TRUE(tree.End().ok());
  EXPECT_TRUE(tree.AwaitsKey());
  ASSERT_TRUE(tree.End().ok());
  EXPECT_EQ(tree.last_nodes(), 4u);
  EXPECT_EQ(tree.Last().depth, 2);
  const YamlDocument document = std::move(tree).Take();
  EXPECT_EQ(document.value.dump(), R"({"a/b":[1,"x"]})");
  EXPECT_EQ(document.line, 3);
  EXPECT_EQ(document.LineOf("/a~1b"), 4);
  EXPECT_EQ(document.LineOf("/a~1b/1"), 7);
}

TEST(TreeBuilderTest, GraftsSubtreesWithinTheDepth) {
  TreeBuilder tree;
  ASSERT_TRUE(tree.StartSequence(1).ok());
  EXPECT_TRUE(tree.Graft({Json::array({1}), 2, 63}, 2).ok());
  EXPECT_EQ(tree.Last().value.dump(), "[1]");
  EXPECT_FALSE(tree.Graft({Json::array({1}), 2, 64}, 3).ok());
}

TEST(TreeBuilderTest, EscapesPointers) {
  std::string pointer;
  AppendPointer(&pointer, "a~b/c");
  AppendPointer(&pointer, "");
  EXPECT_EQ(pointer, "/a~0b~1c/");
}

}  // namespace
}  // namespace nodeward::base
