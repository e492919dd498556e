// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/json.h"

namespace nodeward::base {

// What a plain scalar means in YAML's 1.2 core schema (section 10.3.2): null,
// a bool, an integer of up to 64 bits, a float, else the text itself.
Json ResolvePlainScalar(std::string_view text);

}  // namespace nodeward::base
