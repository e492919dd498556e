// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace nodeward::base {

// Where a text holds what no text file should.
struct BadCharacter {
  int line = 1;
  int column = 1;  // in bytes
  std::string_view reason;
};

// The first control character (but tab, line feed and carriage return) or byte
// that is not UTF-8 (RFC 3629).
std::optional<BadCharacter> FindBadCharacter(std::string_view text);

}  // namespace nodeward::base
