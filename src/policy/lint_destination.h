// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "model/snapshot.h"

namespace nodeward::policy {

// What of Lint is about DestinationRules: hosts that name nothing, rules that
// another one hides, and those that contradict what the servers take.
void LintDestinationRules(const model::Snapshot& snapshot,
                          std::vector<model::Problem>* problems);

}  // namespace nodeward::policy
