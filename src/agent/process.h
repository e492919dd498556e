// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/status.h"

namespace nodeward::agent {

// Makes this process fit to hold private keys and many sockets: not dumpable,
// no core file, descriptor limit raised to what is allowed, SIGPIPE ignored.
// An error when it is not root: the hooks could not be attached.
base::Status PrepareProcess();

}  // namespace nodeward::agent
