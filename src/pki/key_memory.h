// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/status.h"

namespace nodeward::pki {

// From here on all private key material of OpenSSL's, that of handshakes too,
// lies in `bytes` (a power of two) of memory of its own: between guard pages,
// locked, left out of core dumps and wiped when it is released. Once a process,
// before the first key. When the memory is used up, handshakes fail: a server's
// open connection needs up to 64 bytes of it.
//
// kResourceExhausted: the memory is in use, but could not be locked (it may be
// swapped out).
base::Status UseKeyMemory(size_t bytes);

// Overwrites what calls before this one have left on the stack.
void BurnStack();

}  // namespace nodeward::pki
