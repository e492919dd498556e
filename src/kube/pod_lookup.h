// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "base/json.h"
#include "base/status.h"
#include "kube/http_client.h"

namespace nodeward::kube {

// A pod and its namespace as the API server has them at this moment.
struct PodObjects {
  base::Status transport;  // not OK: no whole answer came
  int pod_status = 0;
  base::Json pod;  // of status 200
  int namespace_status = 0;
  base::Json name_space;
};

// Asks for them, whatever the watches have told. `done` is called later, on the
// loop. `client` outlives the question.
void LookUpPod(HttpClient* client, const std::string& name_space,
               const std::string& pod, std::function<void(PodObjects)> done);

}  // namespace nodeward::kube
