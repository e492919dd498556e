// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/status.h"
#include "kube/kubeconfig.h"

namespace nodeward::kube {

// Runs the plugin that `access` names and puts in what it tells. It may ask the
// user on the terminal. Nothing to do where there is none.
base::Status FetchCredential(ClusterAccess* access);

}  // namespace nodeward::kube
