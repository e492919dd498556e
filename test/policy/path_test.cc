// SPDX-License-Identifier: Apache-2.0
#include "policy/path.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace nodeward::policy {
namespace {

using Mode = model::PathNormalization;

std::string Normal(Mode mode, std::string_view path) {
  return NormalizePath(mode, path).value_or("(none)");
}

TEST(NormalizePathTest, Base) {
  const struct {
    const char* path;
    const char* normal;
  } rows[] = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/b/..", "/a/"},
      {"/a/b/.", "/a/b/"},
      {"/..", "/"},
      {"/../../a", "/a"},
      {"/a/../../..", "/"},
      {"/a/%2e%2E/b", "/b"},
      {"/a/.%2e/b", "/b"},
      {"/a/%2e/b", "/a/b"},
      {"/a/...", "/a/..."},
      {"/a/..b", "/a/..b"},
      {"/a/.b", "/a/.b"},
      {"/a./b..", "/a./b.."},
      {"/a\\b", "/a/b"},
      {"/a\\..\\b", "/b"},
      {"/a/..\\b", "/b"},
      // What need not be escaped is not, once.
      {"/%61dmin", "/admin"},
      {"/%41%5a%30%2D%5F%7E", "/AZ0-_~"},
      {"/%2561dmin", "/%2561dmin"},
      {"/a%2Fb", "/a%2Fb"},
      {"/a%2fb", "/a%2fb"},
      {"/a%5Cb", "/a%5Cb"},
      {"/a%40b%25c", "/a%40b%25c"},
      {"/a%20b", "/a%20b"},
      {"/a b\"<>`{}^", "/a%20b%22%3C%3E%60%7B%7D%5E"},
      {"/\xc3\xa9", "/%C3%A9"},
      {"/a%zz%4", "/a%zz%4"},
      {"/a%", "/a%"},
      {"/a//b", "/a//b"},
      {"//a", "//a"},
      {"/a//../b", "/a/b"},
      // The query is not path.
      {"/a/../b?x=../y&z=%61", "/b?x=../y&z=%61"},
      {"/a?/../b", "/a?/../b"},
      {"*", "*"},
      {"", ""},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Normal(Mode::kBase, row.path), row.normal) << row.path;
  }
}

// The table of Istio's own integration test, for each mode.
TEST(NormalizePathTest, FourModes) {
  const struct {
    const char* path;
    const char* none;
    const char* base;
    const char* merge;
    const char* decode;
  } rows[] = {
      {"/public", "/public", "/public", "/public", "/public"},
      {"/public/../data/%2f", "/public/../data/%2f", "/data/%2f", "/data/%2f",
       "/data/"},
      {"/a/../admin", "/a/../admin", "/admin", "/admin", "/admin"},
      {"/a\\admin", "/a\\admin", "/a/admin", "/a/admin", "/a/admin"},
      {"//admin", "//admin", "//admin", "/admin", "/admin"},
      {"/a//b///c", "/a//b///c", "/a//b///c", "/a/b/c", "/a/b/c"},
      {"/a%2Fb", "/a%2Fb", "/a%2Fb", "/a%2Fb", "/a/b"},
      {"/a%5cb", "/a%5cb", "/a%5cb", "/a%5cb", "/a/b"},
      {"/a%2f%2fb", "/a%2f%2fb", "/a%2f%2fb", "/a%2f%2fb", "/a/b"},
      {"/a/..%2fb", "/a/..%2fb", "/a/..%2fb", "/a/..%2fb", "/b"},
      {"/a%2f..%2fb", "/a%2f..%2fb", "/a%2f..%2fb", "/a%2f..%2fb", "/b"},
      {"/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb"},
      {"/%61//b?c//d%2f", "/%61//b?c//d%2f", "/a//b?c//d%2f", "/a/b?c//d%2f",
       "/a/b?c//d%2f"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Normal(Mode::kNone, row.path), row.none);
    EXPECT_EQ(Normal(Mode::kBase, row.path), row.base);
    EXPECT_EQ(Normal(Mode::kMergeSlashes, row.path), row.merge);
    EXPECT_EQ(Normal(Mode::kDecodeAndMerge, row.path), row.decode);
  }
}

TEST(NormalizePathTest, SomePathsHaveNoNormalForm) {
  using namespace std::string_view_literals;
  for (const Mode mode :
       {Mode::kBase, Mode::kMergeSlashes, Mode::kDecodeAndMerge}) {
    EXPECT_EQ(NormalizePath(mode, "/a%00"), std::nullopt);
    EXPECT_EQ(NormalizePath(mode, "/a\0b"sv), std::nullopt);
    EXPECT_EQ(NormalizePath(mode, "/a#b"), std::nullopt);
  }
  EXPECT_EQ(NormalizePath(Mode::kNone, "/a#b"), std::nullopt);
}

TEST(BarePathTest, CutsQueryAndFragment) {
  EXPECT_EQ(BarePath("/a?b"), "/a");
  EXPECT_EQ(BarePath("/a#b?c"), "/a");
  EXPECT_EQ(BarePath("/a"), "/a");
  EXPECT_EQ(BarePath(""), "");
}

}  // namespace
}  // namespace nodeward::policy
