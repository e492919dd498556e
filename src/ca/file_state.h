// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace nodeward::ca {

// What tells one state of a file, or of a folder and the files right in it,
// from another without reading them; links are followed. Equal as long as
// nothing was written, replaced, added or taken away. Empty for an empty path.
std::string FileState(const std::string& path);

}  // namespace nodeward::ca
