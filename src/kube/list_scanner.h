// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace nodeward::kube {

// Takes the items out of a list as its bytes arrive, so that of thousands only
// one is in memory at a time.
class ListScanner {
 public:
  // Called with the text of each element of the list's /items.
  using OnItem = std::function<void(std::string_view)>;

  explicit ListScanner(OnItem on_item) : on_item_(std::move(on_item)) {}

  // The next bytes. False: too large to be what it should be.
  bool Feed(std::string_view bytes);
  // The list without its items (kind, metadata). InvalidArgument: the bytes
  // were no complete JSON object.
  base::StatusOr<base::Json> Finish() const;

 private:
  void Take(char c);

  const OnItem on_item_;
  std::string rest_;  // all but the items
  std::string item_;
  std::string key_;  // the string that was read last at the top level
  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  bool items_ = false;  // inside of /items
  bool oversized_ = false;
};

}  // namespace nodeward::kube
