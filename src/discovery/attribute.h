// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "model/authorization.h"

namespace nodeward::discovery {

// The attribute that a key of `when` asks for, with its name ("request.headers
// [x]" has the name "x").
struct ConditionKey {
  model::Attribute attribute = model::Attribute::kPrincipal;
  std::string name;
  std::string flaw;  // not empty: no such key, and why
};
ConditionKey ReadConditionKey(std::string_view key);

// What is wrong with `value` for `attribute`, as Istio's webhook says it;
// empty: nothing.
std::string ValueFlaw(model::Attribute attribute, std::string_view value);

}  // namespace nodeward::discovery
