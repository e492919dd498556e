// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/authorization.h"

namespace nodeward::policy {

// A request's path, query included, as policies are to see it and as it must be
// passed on: what the application normalizes otherwise than we do gets past a
// policy. None: such a path has no normal form (an escaped NUL, a fragment),
// refuse the request. `path` begins with '/' (anything else, as "*", is left
// alone).
std::optional<std::string> NormalizePath(model::PathNormalization mode,
                                         std::string_view path);

// Without query and fragment.
std::string_view BarePath(std::string_view path);

}  // namespace nodeward::policy
