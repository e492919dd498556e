// SPDX-License-Identifier: Apache-2.0
#include "cli/ca.h"

#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/table.h"
#include "pki/authority.h"
#include "pki/issuer_files.h"

namespace nodeward::cli {
namespace {

using base::StrCat;

// What linkerd check calls soon.
constexpr absl::Duration kSoon = absl::Hours(24 * 60);

struct Line {
  std::string role;
  pki::Certificate certificate;
};

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

// "364d 23h", "23h 59m", "expired"
std::string Left(absl::Time end, absl::Time now) {
  if (end <= now) return "expired";
  const int64_t minutes = absl::ToInt64Minutes(end - now);
  const int64_t hours = minutes / 60;
  if (hours >= 48) return StrCat(hours / 24, "d ", hours % 24, "h");
  return StrCat(hours, "h ", minutes % 60, "m");
}

std::vector<Line> LinesOf(const pki::Authority& authority) {
  std::vector<Line> lines;
  for (size_t i = 0; i < authority.intermediates().size(); ++i) {
    lines.push_back(
        {i == 0 ? "issuer" : "intermediate", authority.intermediates()[i]});
  }
  for (const pki::Certificate& root : authority.roots()) {
    lines.push_back({lines.empty() ? "issuer, root" : "root", root});
  }
  return lines;
}

std::vector<std::string> WarningsOf(const pki::Authority& authority,
                                    absl::Time now) {
  std::vector<std::string> warnings = authority.warnings();
  if (authority.not_after() - now < kSoon) {
    warnings.push_back(StrCat("issuer certificate will expire on ",
                              Utc(authority.not_after())));
  }
  return warnings;
}

void PrintJson(std::ostream& out, const pki::Authority& authority,
               absl::Time now) {
  base::Json json = {{"source", authority.source()},
                     {"not_after", Utc(authority.not_after())},
                     {"certificates", base::Json::array()},
                     {"warnings", WarningsOf(authority, now)}};
  for (const Line& line : LinesOf(authority)) {
    json["certificates"].push_back(
        {{"role", line.role},
         {"subject", line.certificate.Subject()},
         {"serial", line.certificate.SerialHex()},
         {"not_before", Utc(line.certificate.not_before())},
         {"not_after", Utc(line.certificate.not_after())}});
  }
  out << json.dump(2, ' ', false, base::Json::error_handler_t::replace) << "\n";
}

void PrintTable(std::ostream& out, const pki::Authority& authority,
                absl::Time now) {
  out << Printable(authority.source()) << "\n\n";
  Table table;
  table.Add({"ROLE", "SUBJECT", "NOT BEFORE", "NOT AFTER", "LEFT", "SERIAL"});
  for (const Line& line : LinesOf(authority)) {
    table.Add({line.role, Printable(line.certificate.Subject()),
               Utc(line.certificate.not_before()),
               Utc(line.certificate.not_after()),
               Left(line.certificate.not_after(), now),
               line.certificate.SerialHex()});
  }
  table.Print(out);
  out << "\n";
  for (const std::string& warning : WarningsOf(authority, now)) {
    out << "\u203c " << Printable(warning) << "\n";
  }
  out << "\u221a issuer cert is issued by the trust anchor\n";
}

}  // namespace

base::StatusOr<int> RunCa(Environment& environment,
                          const ca::Options& options) {
  NODEWARD_ASSIGN(const ca::Config config, ca::CheckOptions(options));
  return environment.run_ca(config);
}

base::StatusOr<int> CaStatus(Environment& environment,
                             const CaStatusOptions& options) {
  const absl::Time now = absl::Now();
  NODEWARD_ASSIGN(
      pki::AuthorityParts parts,
      pki::ReadIssuer({options.issuer, options.issuer_pair, options.roots}));
  const std::string source = parts.source;
  const auto authority =
      pki::Authority::Create(std::move(parts), options.trust_domain, now);
  if (!authority.ok()) return base::Annotate(authority.status(), source);
  if (options.output == "json") {
    PrintJson(environment.out, **authority, now);
  } else {
    PrintTable(environment.out, **authority, now);
  }
  return kOk;
}

}  // namespace nodeward::cli
