// SPDX-License-Identifier: Apache-2.0
#include "cli/certs.h"

#include "base/text.h"
#include "cli/table.h"
#include "pki/certificate.h"

namespace nodeward::cli {
namespace {

using base::GetString;
using base::Json;

std::string OrDash(const std::string& text) {
  return text.empty() ? "-" : text;
}

base::StatusOr<Json> Ask(Environment& environment, const std::string& run_dir,
                         const std::string& identity) {
  NODEWARD_ASSIGN(
      const Json result,
      environment.ask_agent(run_dir, "certs", {{"identity", identity}}));
  const Json& certificates = base::GetMember(result, "certificates");
  if (!certificates.is_array()) {
    return absl::InternalError("the agent's answer has no certificates");
  }
  return certificates;
}

}  // namespace

base::StatusOr<int> Certs(Environment& environment,
                          const CertsOptions& options) {
  NODEWARD_ASSIGN(const Json certificates,
                  Ask(environment, options.run_dir, ""));
  if (options.output == "json") {
    environment.out << certificates.dump(2, ' ', false,
                                         Json::error_handler_t::replace)
                    << "\n";
    return kOk;
  }
  if (certificates.empty()) {
    environment.out << "No certificates found.\n";
    return kOk;
  }
  Table table;
  table.Add(
      {"IDENTITY", "SERIAL", "NOT AFTER", "NEXT RENEWAL", "ISSUER", "STATE"});
  for (const Json& each : certificates) {
    const std::string error = GetString(each, "error");
    table.Add({GetString(each, "identity"), OrDash(GetString(each, "serial")),
               OrDash(GetString(each, "not_after")),
               OrDash(GetString(each, "next_renewal")),
               OrDash(GetString(each, "issuer")),
               base::StrCat(GetString(each, "state", "unknown"),
                            error.empty() ? "" : ": ", error)});
  }
  table.Print(environment.out);
  return kOk;
}

base::StatusOr<int> ShowCertificate(Environment& environment,
                                    const ShowCertificateOptions& options) {
  NODEWARD_ASSIGN(const Json certificates,
                  Ask(environment, options.run_dir, options.identity));
  std::string chain;
  for (const Json& each : certificates) chain += GetString(each, "chain");
  if (chain.empty()) {
    return absl::NotFoundError(base::StrCat("there is no certificate of ",
                                            options.identity,
                                            " in use; certs tells why"));
  }
  // Through the parser in both forms: nothing but certificates comes out.
  NODEWARD_ASSIGN(const auto parsed, pki::Certificate::ParsePemBundle(chain));
  for (const pki::Certificate& each : parsed) {
    environment.out << (options.text ? each.ToText() : each.ToPem());
  }
  return kOk;
}

}  // namespace nodeward::cli
