// SPDX-License-Identifier: Apache-2.0
//
// In the place of src/kernel/pin_version.cc: an agent of the next version.
#include "kernel/hooks.h"
#include "nodeward/abi/capture.h"

namespace nodeward::kernel {

int PinVersion() { return NODEWARD_ABI_VERSION + 1; }

}  // namespace nodeward::kernel
