// SPDX-License-Identifier: Apache-2.0
#include "cni/kubeconfig.h"

#include "absl/strings/escaping.h"
#include "base/json.h"
#include "base/text.h"

namespace nodeward::cni {
namespace {

using base::Json;

constexpr char kName[] = "nodeward-cni";

// The member `inner` of the first item of the list `outer`.
const Json& FirstOf(const Json& json, const char* outer, const char* inner) {
  const Json& list = base::GetMember(json, outer);
  if (!list.is_array() || list.empty()) return base::GetMember(list, inner);
  return base::GetMember(list[0], inner);
}

}  // namespace

std::string TextOf(const Kubeconfig& config) {
  const Json cluster = {{"server", config.server},
                        {"certificate-authority-data",
                         absl::Base64Escape(base::ToAbsl(config.roots))}};
  const Json json = {
      {"apiVersion", "v1"},
      {"kind", "Config"},
      {"clusters", Json::array({{{"name", kName}, {"cluster", cluster}}})},
      {"users",
       Json::array({{{"name", kName}, {"user", {{"token", config.token}}}}})},
      {"contexts",
       Json::array({{{"name", kName},
                     {"context", {{"cluster", kName}, {"user", kName}}}}})},
      {"current-context", kName}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

base::StatusOr<Kubeconfig> ReadKubeconfig(std::string_view text) {
  NODEWARD_ASSIGN(const Json json, base::ParseJson(text));
  const Json& cluster = FirstOf(json, "clusters", "cluster");
  Kubeconfig config;
  config.server = base::GetString(cluster, "server");
  config.token = base::GetString(FirstOf(json, "users", "user"), "token");
  const std::string data =
      base::GetString(cluster, "certificate-authority-data");
  if (config.server.empty() || config.token.empty() || data.empty() ||
      !absl::Base64Unescape(data, &config.roots)) {
    return absl::InvalidArgumentError(
        "it lacks a server, a token or certificate-authority-data");
  }
  return config;
}

}  // namespace nodeward::cni
