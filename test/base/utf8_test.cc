// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace nodeward::base {
namespace {

TEST(Utf8Test, AcceptsTexts) {
  for (const char* text :
       {"", "plain\r\n\ttext", "ä", "€", "\xf0\x9f\x98\x80", "\xed\x9f\xbf",
        "\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_FALSE(FindBadCharacter(text).has_value()) << text;
  }
}

TEST(Utf8Test, FindsWhatIsNoUtf8) {
  for (const char* bytes :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe2\x82",
        "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3(", "\xe2(\xac"}) {
    const auto bad = FindBadCharacter(std::string("a\nbc") + bytes);
    ASSERT_TRUE(bad.has_value()) << bytes;
    EXPECT_EQ(bad->line, 2);
    EXPECT_EQ(bad->column, 3);
    EXPECT_EQ(bad->reason, "not UTF-8");
  }
}

TEST(Utf8Test, FindsControlCharacters) {
  for (int c = 0; c < 0x80; ++c) {
    const bool fine =
        c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0x7f);
    const std::string text = {'x', static_cast<char>(c), 'y'};
    EXPECT_EQ(FindBadCharacter(text).has_value(), !fine) << c;
  }
}

}  // namespace
}  // namespace nodeward::base
