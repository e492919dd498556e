// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace nodeward::cli {

// Left-aligned columns, three spaces apart, as wide as their widest cell in
// characters (not bytes), without spaces at the ends of lines.
class Table {
 public:
  // A row may be shorter than another; missing cells are empty.
  void Add(std::vector<std::string> row);
  void Print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// `text` on one line and without what a terminal would obey: what agents report
// comes from files and peers.
std::string Printable(std::string_view text);

// The number of characters of UTF-8 text.
size_t Width(std::string_view text);

}  // namespace nodeward::cli
