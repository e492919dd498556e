// SPDX-License-Identifier: Apache-2.0
#include "admin/certificates.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "model/identity.h"

namespace nodeward::admin {
namespace {

using base::Json;

std::string Utc(absl::Time time) {
  if (time == absl::InfinitePast()) return "";
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

Json CertificateJson(const CertificateReport& certificate) {
  return {{"identity", certificate.identity},
          {"serial", certificate.serial},
          {"not_before", Utc(certificate.not_before)},
          {"not_after", Utc(certificate.not_after)},
          {"next_renewal", Utc(certificate.next_renewal)},
          {"issuer", certificate.issuer},
          {"state", certificate.state},
          {"error", certificate.error}};
}

bool IsNamed(const CertificateReport& certificate, const std::string& name) {
  if (certificate.identity == name) return true;
  const auto identity = model::Identity::ParseSpiffe(certificate.identity);
  return identity.ok() && name == base::StrCat(identity->name_space, "/",
                                               identity->service_account);
}

}  // namespace

base::StatusOr<Json> CertificatesResult(
    const std::vector<CertificateReport>& certificates, const Json& arguments) {
  const std::string name = base::GetString(arguments, "identity");
  std::vector<const CertificateReport*> chosen;
  for (const CertificateReport& each : certificates) {
    if (name.empty() || IsNamed(each, name)) chosen.push_back(&each);
  }
  if (chosen.empty() && !name.empty()) {
    return absl::NotFoundError(base::StrCat(
        "no certificate of ", name, " on this node; certs lists them all"));
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const CertificateReport* a, const CertificateReport* b) {
              return a->identity < b->identity;
            });
  Json shown = Json::array();
  for (const CertificateReport* each : chosen) {
    Json json = CertificateJson(*each);
    if (!name.empty()) json["chain"] = each->chain_pem;
    shown.push_back(std::move(json));
  }
  return Json{{"certificates", std::move(shown)}};
}

}  // namespace nodeward::admin
