// SPDX-License-Identifier: Apache-2.0
#include "ca/issuer_secret.h"

#include "base/json.h"
#include "base/text.h"
#include "pki/key.h"

namespace nodeward::ca {
namespace {

// The message of a Status object of the API, or nothing.
std::string MessageOf(const std::string& body) {
  const auto answer = base::ParseJson(body);
  return answer.ok() ? base::GetString(*answer, "message") : "";
}

}  // namespace

base::StatusOr<bool> CreateIssuerSecret(const Poster& post,
                                        const ObjectName& place,
                                        const pki::Root& root) {
  NODEWARD_ASSIGN(std::string key, root.key.ToPem());
  const std::string certificate = root.certificate.ToPem();
  base::Json secret = {
      {"apiVersion", "v1"},
      {"kind", "Secret"},
      {"metadata",
       {{"name", place.name},
        {"namespace", place.name_space},
        {"labels", {{"app.kubernetes.io/managed-by", "nodeward"}}}}},
      {"type", "kubernetes.io/tls"},
      {"stringData",
       {{"tls.crt", certificate}, {"ca.crt", certificate}, {"tls.key", key}}}};
  std::string text = secret.dump();
  const auto answer = post(
      base::StrCat("/api/v1/namespaces/", place.name_space, "/secrets"), text);
  pki::Wipe(&text);
  pki::Wipe(&key);
  pki::Wipe(secret["stringData"]["tls.key"].get_ptr<std::string*>());
  if (!answer.ok()) return answer.status();
  if (answer->first == 201) return true;
  if (answer->first == 409) return false;
  return absl::UnavailableError(
      base::StrCat("create Secret ", place.ToString(), ": HTTP ", answer->first,
                   " ", MessageOf(answer->second),
                   answer->first == 401 || answer->first == 403
                       ? " (may our ServiceAccount create Secrets there?)"
                       : ""));
}

}  // namespace nodeward::ca
