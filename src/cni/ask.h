// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/time/time.h"
#include "base/status.h"
#include "cni/question.h"

namespace nodeward::cni {

// Asks the agent at the unix socket `path` and waits for its answer, for
// `patience` at most. Every error means that no agent answers.
base::StatusOr<Answer> AskAgent(const std::string& path,
                                const Question& question,
                                absl::Duration patience);

}  // namespace nodeward::cni
