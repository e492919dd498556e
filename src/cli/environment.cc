// SPDX-License-Identifier: Apache-2.0
#include "cli/environment.h"

#include <iostream>

#include "admin/control.h"
#include "agent/run.h"
#include "ca/run.h"
#include "capture/enroller.h"

namespace nodeward::cli {

Environment ProcessEnvironment() {
  return {.out = std::cout,
          .err = std::cerr,
          .run_dir = agent::DefaultRunDir(),
          .run_agent = agent::Run,
          .run_ca = ca::Run,
          .ask_agent =
              [](const std::string& run_dir, const std::string& command,
                 const base::Json& args) {
                return admin::AskAgent(run_dir, command, args);
              },
          .remove_everything = capture::RemoveEverything};
}

}  // namespace nodeward::cli
