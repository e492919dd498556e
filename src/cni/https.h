// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/time/time.h"
#include "base/status.h"
#include "cni/kubeconfig.h"

namespace nodeward::cni {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// GETs `target` ("/api/v1/…") of the server in `config`, which must prove
// itself by its roots and be named by an address: the plugin is a static
// program, which can resolve no names. Blocks; `patience` is for the whole.
base::StatusOr<HttpAnswer> HttpsGet(const Kubeconfig& config,
                                    const std::string& target,
                                    absl::Duration patience);

}  // namespace nodeward::cni
