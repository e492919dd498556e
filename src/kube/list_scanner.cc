// SPDX-License-Identifier: Apache-2.0
#include "kube/list_scanner.h"

namespace nodeward::kube {
namespace {

// etcd takes 1.5 MiB by default.
constexpr size_t kMaxItem = 16 << 20;
constexpr size_t kMaxRest = 1 << 20;

}  // namespace

bool ListScanner::Feed(std::string_view bytes) {
  for (const char c : bytes) Take(c);
  oversized_ |= item_.size() > kMaxItem || rest_.size() > kMaxRest;
  return !oversized_;
}

// Where the list is no JSON, what is cut out of it is none either, which its
// reader sees.
void ListScanner::Take(char c) {
  const bool was_in_string = in_string_;
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
    }
    if (in_string_ && depth_ == 1) key_ += c;
  } else if (c == '"') {
    in_string_ = true;
    if (depth_ == 1) key_.clear();
  } else if (c == '{' || c == '[') {
    ++depth_;
    if (depth_ == 2 && c == '[' && key_ == "items") {
      items_ = true;
      rest_ += c;
      return;
    }
  } else if (c == '}' || c == ']') {
    --depth_;
    if (items_ && depth_ == 1) items_ = false;
  }
  if (!items_) {
    rest_ += c;
    return;
  }
  if (item_.empty() && c != '{') return;  // commas and blanks between items
  item_ += c;
  if (!was_in_string && c == '}' && depth_ == 2) {
    on_item_(item_);
    item_.clear();
  }
}

base::StatusOr<base::Json> ListScanner::Finish() const {
  if (oversized_ || depth_ != 0 || in_string_ || !item_.empty()) {
    return absl::InvalidArgumentError("read list: it is cut off or too large");
  }
  NODEWARD_ASSIGN(base::Json rest, base::ParseJson(rest_));
  if (!rest.is_object()) {
    return absl::InvalidArgumentError("read list: it is no JSON object");
  }
  return rest;
}

}  // namespace nodeward::kube
