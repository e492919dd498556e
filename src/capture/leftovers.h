// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "capture/netns.h"

namespace nodeward::capture {

// Calls `visit` once for each network namespace that can be found: by name
// below /run/netns, by one of `paths`, or as that of a running process. `name`
// says how it was found.
void ForEachNetns(
    const std::vector<std::string>& paths,
    absl::FunctionRef<void(const std::string& name, const Netns&)> visit);

// Takes rules, routes and sysctls out of those namespaces whose cookie is one
// of `cookies`, as far as they can be found.
void RemoveSteeringFrom(const Netns& home, const std::vector<uint64_t>& cookies,
                        const std::vector<std::string>& paths);

}  // namespace nodeward::capture
