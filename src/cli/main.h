// SPDX-License-Identifier: Apache-2.0
//
// cli: the command line. Nouns show (edges, status, version), verbs change
// (agent runs one, uninstall removes). Each command is one file, gets an
// Environment and its options, and prints; parsing is here. Exit status: 0 ok,
// 1 a problem, 2 wrong usage, 3 denied (policy test). One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/environment.h"

namespace nodeward::cli {

// The whole command line. Returns the exit status.
int Main(int argc, char** argv);

// The same on `environment`; `arguments` without the program's name.
int Run(Environment& environment, const std::vector<std::string>& arguments);

}  // namespace nodeward::cli
