// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "ca/config.h"
#include "cli/ca.h"
#include "cli/environment.h"

namespace nodeward::cli {

// nodeward ca and what is below it.
struct CaOptions {
  ca::Options run;
  CaInitOptions init;
  CaIntermediateOptions intermediate;
  CaCreateSecretOptions create_secret;
  CaStatusOptions status;
};

// Fills `command`, which fills `options` when it parses.
void AddCaOptions(CLI::App* command, CaOptions* options);

// Runs what `command` parsed.
base::StatusOr<int> DispatchCa(Environment& environment,
                               const CLI::App& command,
                               const CaOptions& options);

}  // namespace nodeward::cli
