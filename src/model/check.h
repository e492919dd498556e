// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace nodeward::model {

// One line of `nodeward check`. What each room finds out about itself.
struct Check {
  enum class Result { kSuccess, kWarning, kError };
  std::string description;  // says what is so when all is well
  Result result = Result::kSuccess;
  std::string error = {};  // may have several lines
  std::string hint = {};   // what to do
};

struct CheckCategory {
  std::string name;  // "nodeward-identity"
  std::vector<Check> checks;
};

}  // namespace nodeward::model
