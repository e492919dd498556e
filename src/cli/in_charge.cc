// SPDX-License-Identifier: Apache-2.0
#include "cli/in_charge.h"

#include "admin/in_charge.h"

namespace nodeward::cli {

base::StatusOr<int> InCharge(Environment& environment,
                             const std::string& run_dir) {
  NODEWARD_ASSIGN(const base::Json args, admin::InChargeArguments());
  NODEWARD_ASSIGN(const base::Json answer,
                  environment.ask_agent(run_dir, "in-charge", args));
  const bool here = base::GetBool(answer, "here");
  environment.out << (here ? "This container's agent serves the node.\n"
                           : "Another container's agent serves the node.\n");
  return here ? kOk : kProblem;
}

}  // namespace nodeward::cli
