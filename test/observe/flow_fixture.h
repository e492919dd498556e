// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "observe/flow.h"

namespace nodeward::observe {

// A pod of `workload_name` with a ServiceAccount of the same name.
std::shared_ptr<const model::Workload> MakeWorkload(
    const std::string& name_space, const std::string& workload_name);

// mTLS from `source` to `destination`, both verified, ended in order.
Flow MakeFlow(uint64_t id, Reporter reporter,
              std::shared_ptr<const model::Workload> source,
              std::shared_ptr<const model::Workload> destination);

// The same without mTLS and identities.
Flow MakePlaintext(uint64_t id, std::shared_ptr<const model::Workload> source,
                   std::shared_ptr<const model::Workload> destination);

}  // namespace nodeward::observe
