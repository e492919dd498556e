// SPDX-License-Identifier: Apache-2.0
#include "kube/in_cluster.h"

#include <cstdlib>

#include "base/text.h"

namespace nodeward::kube {

std::string ServerOfEnvironment() {
  const char* const host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* const port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || *host == '\0' || port == nullptr || *port == '\0') {
    return "";
  }
  const std::string name = host;
  const bool v6 = name.find(':') != std::string::npos;
  return base::StrCat("https://", v6 ? "[" : "", name, v6 ? "]:" : ":", port);
}

}  // namespace nodeward::kube
