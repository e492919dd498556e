// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace nodeward::pki {

using Digest = std::array<uint8_t, 32>;

Digest Sha256(std::string_view bytes);

// For protocols that ask for it; it proves nothing.
std::array<uint8_t, 20> Sha1(std::string_view bytes);

}  // namespace nodeward::pki
