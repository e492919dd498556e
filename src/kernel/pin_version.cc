// SPDX-License-Identifier: Apache-2.0
//
// Alone in its file: a test program of the next version has its own.
#include "kernel/hooks.h"
#include "nodeward/abi/capture.h"

namespace nodeward::kernel {

int PinVersion() { return NODEWARD_ABI_VERSION; }

}  // namespace nodeward::kernel
