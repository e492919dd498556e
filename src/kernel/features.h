// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernel/hooks.h"

namespace nodeward::kernel {

// What the running kernel can do, found by trying, never from its version.
Features ProbeFeatures();

}  // namespace nodeward::kernel
