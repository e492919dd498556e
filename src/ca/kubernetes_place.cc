// SPDX-License-Identifier: Apache-2.0
#include "ca/kubernetes_place.h"

#include <cstdlib>
#include <string_view>

#include "base/text.h"

namespace nodeward::ca {
namespace {

constexpr char kPodSecrets[] = "/var/run/secrets/kubernetes.io/serviceaccount/";

// Inside a pod (kubernetes.io/docs: "from within a Pod").
std::string ApiOfEnvironment() {
  const char* const host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* const port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr) return "";
  const bool v6 = std::string_view(host).find(':') != std::string_view::npos;
  return base::StrCat("https://", v6 ? "[" : "", host, v6 ? "]" : "", ":",
                      port);
}

}  // namespace

base::StatusOr<KubernetesPlace> FindKubernetes(KubernetesPlace given) {
  if (given.api.empty()) given.api = ApiOfEnvironment();
  if (given.ca.empty()) given.ca = base::StrCat(kPodSecrets, "ca.crt");
  if (given.token.empty()) given.token = base::StrCat(kPodSecrets, "token");
  if (!given.api.starts_with("https://")) {
    return absl::InvalidArgumentError(
        "an https:// address is needed (outside a pod)");
  }
  return given;
}

}  // namespace nodeward::ca
