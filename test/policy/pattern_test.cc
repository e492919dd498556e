// SPDX-License-Identifier: Apache-2.0
#include "policy/pattern.h"

#include <gtest/gtest.h>

namespace nodeward::policy {
namespace {

using model::Attribute;

struct Row {
  const char* pattern;
  const char* text;
  bool matches;
};

template <size_t kCount>
void Check(Attribute attribute, const Row (&rows)[kCount]) {
  for (const Row& row : rows) {
    EXPECT_EQ(Pattern(attribute, row.pattern).Matches(row.text), row.matches)
        << row.pattern << " on " << row.text;
  }
}

TEST(PatternTest, FourForms) {
  const Row rows[] = {
      {"abc", "abc", true},    {"abc", "Abc", false},   {"abc", "abcd", false},
      {"abc", "", false},      {"abc*", "abc", true},   {"abc*", "abcd", true},
      {"abc*", "xabc", false}, {"abc*", "ABCd", false}, {"*abc", "abc", true},
      {"*abc", "xabc", true},  {"*abc", "abcx", false}, {"*", "x", true},
      {"*", "", false},        {"a*c", "abc", false},   {"a*c", "a*c", true},
      {"*b*", "abc", false},   {"*b*", "ab*", true},    {"a**", "a*b", true},
      {"a**", "ab", false},    {"**", "x*", true},      {"**", "x", false},
  };
  Check(Attribute::kPrincipal, rows);
  Check(Attribute::kPath, rows);
  Check(Attribute::kSni, rows);
  Check(Attribute::kTrustDomain, rows);
}

TEST(PatternTest, PresenceOfHeadersHostsAndMethodsMayBeEmpty) {
  for (const Attribute attribute :
       {Attribute::kHeader, Attribute::kHost, Attribute::kMethod}) {
    EXPECT_TRUE(Pattern(attribute, "*").Matches(""));
    EXPECT_TRUE(Pattern(attribute, "*").Matches("x"));
  }
  for (const Attribute attribute :
       {Attribute::kPath, Attribute::kSni, Attribute::kPrincipal,
        Attribute::kNamespace}) {
    EXPECT_FALSE(Pattern(attribute, "*").Matches(""));
    EXPECT_TRUE(Pattern(attribute, "*").Matches("x"));
  }
}

TEST(PatternTest, HostsHaveNoCase) {
  // The caller lowers the host.
  Check(Attribute::kHost, {{"Example.COM", "example.com", true},
                           {"Example.COM", "example.com:8080", false},
                           {"*.Example.com", "a.example.com", true},
                           {"*.Example.com", "example.com", false},
                           {"Example.com*", "example.com:8080", true}});
  EXPECT_FALSE(Pattern(Attribute::kMethod, "get").Matches("GET"));
}

TEST(PatternTest, NamespacesHaveWildcardsAnywhere) {
  Check(Attribute::kNamespace, {{"foo", "foo", true},
                                {"foo", "foobar", false},
                                {"foo*", "foobar", true},
                                {"*bar", "foobar", true},
                                {"f*r", "foobar", true},
                                {"f*r", "foobaz", false},
                                {"f*b*r", "foobar", true},
                                {"f*b*r", "fr", false},
                                {"*oob*", "foobar", true},
                                {"f.o", "foo", false}});
}

TEST(PatternTest, ServiceAccountsHaveNone) {
  Check(Attribute::kServiceAccount,
        {{"a/b", "a/b", true}, {"a/*", "a/b", false}, {"*", "a/b", false}});
}

TEST(PatternTest, PathTemplates) {
  Check(Attribute::kPath,
        {{"/allow/{*}", "/allow/a", true},
         {"/allow/{*}", "/allow/", false},
         {"/allow/{*}", "/allow", false},
         {"/allow/{*}", "/allow/a/b", false},
         {"/allow/{*}", "/allow/a/", false},
         {"/allow/admin/{**}", "/allow/admin/", true},
         {"/allow/admin/{**}", "/allow/admin/a/b", true},
         {"/allow/admin/{**}", "/allow/admin", false},
         {"/allow/admin/{**}", "/allow/administrator", false},
         {"/store/{**}/cart", "/store//cart", true},
         {"/store/{**}/cart", "/store/cart", false},
         {"/store/{**}/cart", "/store/a/b/cart", true},
         {"/store/{**}/cart", "/store/a/cart/x", false},
         {"/foo/{*}/bar/{**}", "/foo//bar/..", false},
         {"/foo/{*}/bar/{**}", "/foo/x/bar/", true},
         {"/foo/{*}/bar/{**}", "/foo/x/y/bar/z", false},
         {"/foo/{**}/", "/foo/bar/baz.txt", false},
         {"/foo/{**}/", "/foo/bar/", true},
         {"/{*}/{*}/c", "/a/b/c", true},
         {"/{*}/{*}/c", "/a/c", false},
         {"/{**}", "/", true},
         {"/{**}", "/a/b", true},
         {"{*}", "a", true},
         {"{*}", "/a", false},
         {"/{*}/books/{**}/chapter", "/x/books//chapter", true},
         {"/{*}/books/{**}/chapter", "/x/books/chapter", false}});
  // Elsewhere braces are braces.
  EXPECT_TRUE(Pattern(Attribute::kHeader, "/{*}").Matches("/{*}"));
  EXPECT_FALSE(Pattern(Attribute::kHeader, "/{*}").Matches("/a"));
}

}  // namespace
}  // namespace nodeward::policy
