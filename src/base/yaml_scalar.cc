// SPDX-License-Identifier: Apache-2.0
#include "base/yaml_scalar.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

namespace nodeward::base {
namespace {

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= '0' && c <= '9';
  });
}

std::optional<Json> Integer(std::string_view text) {
  std::string_view digits = text;
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0o")) {
    base = text[1] == 'x' ? 16 : 8;
    digits.remove_prefix(2);
    if (digits.starts_with('-')) return std::nullopt;
  } else if (text.starts_with('+')) {
    digits.remove_prefix(1);
    if (digits.starts_with('-')) return std::nullopt;
  }
  const char* const end = digits.data() + digits.size();
  int64_t value = 0;
  auto [stop, error] = std::from_chars(digits.data(), end, value, base);
  if (stop != end || digits.empty()) return std::nullopt;
  if (error == std::errc()) return Json(value);
  uint64_t large = 0;
  error = std::from_chars(digits.data(), end, large, base).ec;
  if (error == std::errc()) return Json(large);
  return std::nullopt;  // beyond 64 bits: a float
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool LooksLikeFloat(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const size_t mark = text.find_first_of("eE");
  if (mark != std::string_view::npos) {
    std::string_view exponent = text.substr(mark + 1);
    if (exponent.starts_with('-') || exponent.starts_with('+')) {
      exponent.remove_prefix(1);
    }
    if (!IsDigits(exponent)) return false;
    text = text.substr(0, mark);
  }
  const size_t point = text.find('.');
  if (point == std::string_view::npos) return IsDigits(text);
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = text.substr(point + 1);
  if (whole.empty()) return IsDigits(fraction);
  return IsDigits(whole) && (fraction.empty() || IsDigits(fraction));
}

std::optional<Json> Float(std::string_view text) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (text == ".nan" || text == ".NaN" || text == ".NAN") {
    return Json(std::numeric_limits<double>::quiet_NaN());
  }
  std::string_view bare = text;
  const bool negative = bare.starts_with('-');
  if (negative || bare.starts_with('+')) bare.remove_prefix(1);
  if (bare == ".inf" || bare == ".Inf" || bare == ".INF") {
    return Json(negative ? -kInfinity : kInfinity);
  }
  if (!LooksLikeFloat(text)) return std::nullopt;
  double value = 0;
  const auto error =
      std::from_chars(bare.data(), bare.data() + bare.size(), value).ec;
  if (error == std::errc::result_out_of_range) value = kInfinity;
  return Json(negative ? -value : value);
}

}  // namespace

Json ResolvePlainScalar(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" ||
      text == "NULL") {
    return Json();
  }
  if (text == "true" || text == "True" || text == "TRUE") return Json(true);
  if (text == "false" || text == "False" || text == "FALSE") {
    return Json(false);
  }
  const char first = text.front();
  if ((first >= '0' && first <= '9') || first == '-' || first == '+' ||
      first == '.') {
    if (auto number = Integer(text)) return *std::move(number);
    if (auto number = Float(text)) return *std::move(number);
  }
  return Json(std::string(text));
}

}  // namespace nodeward::base
