// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace nodeward::cli {

// The whole command line. Returns the exit status.
int Main(int argc, char** argv);

}  // namespace nodeward::cli
