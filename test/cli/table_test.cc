// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace nodeward::cli {
namespace {

std::string Text(const Table& table) {
  std::ostringstream out;
  table.Print(out);
  return out.str();
}

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  Table table;
  table.Add({"SRC", "DST"});
  table.Add({"vote-bot", "web"});
  table.Add({"web", "x"});
  EXPECT_EQ(Text(table),
            "SRC        DST\n"
            "vote-bot   web\n"
            "web        x\n");
}

TEST(TableTest, WidthIsCountedInCharacters) {
  EXPECT_EQ(Width("√"), 1u);
  EXPECT_EQ(Width("naïve"), 5u);
  Table table;
  table.Add({"√", "a"});
  table.Add({"xx", "b"});
  EXPECT_EQ(Text(table),
            "√    a\n"
            "xx   b\n");
}

TEST(TableTest, RowsMayBeShort) {
  Table table;
  table.Add({"a", "b", "c"});
  table.Add({"longer"});
  table.Add({"", "x"});
  EXPECT_EQ(Text(table),
            "a        b   c\n"
            "longer\n"
            "         x\n");
}

TEST(TableTest, NothingIsNothing) { EXPECT_EQ(Text(Table()), ""); }

TEST(TableTest, ACellCannotSteerTheTerminalOrForgeARow) {
  EXPECT_EQ(Printable("a\x1b[31m\nb\tc\r\x7f"), "a?[31m b c??");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J"),
            "??2J");
  EXPECT_EQ(Printable("√ é"), "√ é");
  Table table;
  table.Add({"x\ny"});
  EXPECT_EQ(Text(table), "x y\n");
}

}  // namespace
}  // namespace nodeward::cli
