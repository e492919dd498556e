// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace nodeward::cni {

// Answers the one call that this process was started for; returns its exit
// status. `nodeward cni`, and the program nodeward-cni.
int RunProcess();

}  // namespace nodeward::cni
