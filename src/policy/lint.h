// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "model/snapshot.h"

namespace nodeward::policy {

// What is acceptable and yet would surprise whoever wrote it: rules that never
// hold, or hold for more than they seem to; selectors that select nothing.
// Beyond what the snapshot's own problems tell.
std::vector<model::Problem> Lint(const model::Snapshot& snapshot);

}  // namespace nodeward::policy
