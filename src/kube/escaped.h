// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace nodeward::kube {

// As a segment of a URL's path, or a name or value of its query: all but the
// unreserved characters (RFC 3986 section 2.3) by percent signs.
std::string Escaped(std::string_view text);

}  // namespace nodeward::kube
