// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"

namespace nodeward::ca {

// Where the API server is and how it and we prove ourselves.
struct KubernetesPlace {
  std::string api;    // "https://10.96.0.1:443"
  std::string ca;     // file
  std::string token;  // file
};

// What `given` leaves empty is that of the pod we run in
// (KUBERNETES_SERVICE_HOST and _PORT, its ServiceAccount's files).
// InvalidArgument when there is no https:// address.
base::StatusOr<KubernetesPlace> FindKubernetes(KubernetesPlace given);

}  // namespace nodeward::ca
