// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/json.h"
#include "base/status.h"

namespace nodeward::admin {

// Which agent is it that answers? While one agent takes over from another, both
// containers of a node reach the same control socket: a program in one of them
// tells its PID namespace, which is its container's.
base::StatusOr<base::Json> InChargeArguments();
// {"here": true} when the agent lives in the PID namespace of `args`.
base::StatusOr<base::Json> InChargeResult(const base::Json& args);

}  // namespace nodeward::admin
