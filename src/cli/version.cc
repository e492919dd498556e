// SPDX-License-Identifier: Apache-2.0
#include "cli/version.h"

#include "nodeward/version.h"

namespace nodeward::cli {

int ShowVersion(Environment& environment) {
  environment.out << "nodeward " << kVersion << "\n";
  return kOk;
}

}  // namespace nodeward::cli
