// SPDX-License-Identifier: Apache-2.0
//
// agent: the composition root. It alone knows every room, builds them in order,
// wires them together, and takes them down. Nothing is decided here that a room
// could decide.
#pragma once

#include "agent/config.h"

namespace nodeward::agent {

// Runs an agent until SIGTERM or SIGINT. Returns the exit status: 0 after an
// orderly end, 1 when it could not start (the reason is on standard error).
int Run(const Config& config);

}  // namespace nodeward::agent
