// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace nodeward::http {

// A head as Boost.Beast's parser reads it: the grammar of its lines. What is
// grammatical and still dangerous is for others to refuse. Views point into
// the text that was parsed.
struct BeastHead {
  int version = 0;  // 10 or 11
  std::string_view method;
  std::string_view target;
  int status = 0;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  bool chunked = false;  // chunked is the last transfer coding
  std::optional<uint64_t> length;
  bool keep_alive = false;
};

// `text` ends with the empty line.
base::StatusOr<BeastHead> ParseRequestLines(std::string_view text);
base::StatusOr<BeastHead> ParseResponseLines(std::string_view text);

}  // namespace nodeward::http
