// SPDX-License-Identifier: Apache-2.0
#include "base/json_tree.h"

#include <iterator>
#include <limits>
#include <utility>

#include "base/text.h"
#include "base/tree_builder.h"

namespace nodeward::base {
namespace {

Status ErrorAt(int line, std::string_view reason) {
  return absl::InvalidArgumentError(
      StrCat("line ", line, ", column 1: ", reason));
}

// Counts lines as the lexer consumes. The line of the last character that was
// not white space is that of the current token, because the lexer looks one
// character beyond a number.
struct Position {
  int line = 1;
  int token_line = 1;
};

class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, Position* position)
      : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    if (*at_ == '\n') {
      ++position_->line;
    } else if (*at_ != ' ' && *at_ != '\t' && *at_ != '\r') {
      position_->token_line = position_->line;
    }
    ++at_;
    return *this;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) {
    return a.at_ == b.at_;
  }

 private:
  const char* at_;
  Position* position_;
};

class JsonReader : public nlohmann::json_sax<Json> {
 public:
  explicit JsonReader(const Position* position) : position_(position) {}

  bool null() override { return Value(Json()); }
  bool boolean(bool value) override { return Value(Json(value)); }
  bool number_integer(int64_t value) override { return Value(Json(value)); }
  bool number_unsigned(uint64_t value) override {
    // As the YAML side does: signed where it fits.
    return Value(value <= std::numeric_limits<int64_t>::max()
                     ? Json(static_cast<int64_t>(value))
                     : Json(value));
  }
  bool number_float(double value, const std::string&) override {
    return Value(Json(value));
  }
  bool string(std::string& value) override { return Value(Json(value)); }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(size_t) override { return Keep(tree_.StartMap(line())); }
  bool key(std::string& key) override { return Keep(tree_.Key(key, line())); }
  bool end_object() override { return Keep(tree_.End()); }
  bool start_array(size_t) override {
    return Keep(tree_.StartSequence(line()));
  }
  bool end_array() override { return Keep(tree_.End()); }
  bool parse_error(size_t, const std::string& token,
                   const nlohmann::detail::exception&) override {
    return Keep(absl::InvalidArgumentError(
        StrCat("not well-formed JSON near '", token, "'")));
  }

  YamlDocument Take() && { return std::move(tree_).Take(); }
  const Status& status() const { return status_; }

 private:
  int line() const { return position_->token_line; }
  bool Value(Json value) { return Keep(tree_.Value(std::move(value), line())); }
  bool Keep(const Status& status) {
    if (!status.ok()) status_ = ErrorAt(line(), FromAbsl(status.message()));
    return status.ok();
  }

  const Position* position_;
  TreeBuilder tree_;
  Status status_;
};

}  // namespace

StatusOr<YamlDocument> ParseJsonTree(std::string_view text) {
  Position position;
  JsonReader reader(&position);
  const CountingIterator begin(text.data(), &position);
  const CountingIterator end(text.data() + text.size(), &position);
  if (!Json::sax_parse(begin, end, &reader)) {
    return reader.status().ok()
               ? ErrorAt(position.token_line, "not well-formed JSON")
               : reader.status();
  }
  return std::move(reader).Take();
}

}  // namespace nodeward::base
