// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace nodeward::cni {

// How the plugin reaches the API server.
struct Kubeconfig {
  std::string server;  // "https://10.96.0.1:443"
  std::string roots;   // PEM
  std::string token;
};

// A file as kubectl reads them, of one cluster and one user. It is JSON, which
// is YAML too.
std::string TextOf(const Kubeconfig& config);
// What TextOf made.
base::StatusOr<Kubeconfig> ReadKubeconfig(std::string_view text);

}  // namespace nodeward::cni
