// SPDX-License-Identifier: Apache-2.0
#include "identity/check.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "base/text.h"
#include "pki/chain.h"

namespace nodeward::identity {
namespace {

using Result = model::Check::Result;
using Certificates = std::vector<pki::Certificate>;

constexpr absl::Duration kSoon = absl::Hours(24 * 60);
// CAs date certificates back by less, for clocks that differ a little.
constexpr absl::Duration kClockTolerance = absl::Minutes(5);
// A renewal is due at half of the life; with this much left it should be over.
constexpr double kLate = 0.25;

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string NameOf(const pki::Certificate& certificate) {
  return base::StrCat(certificate.SerialHex(), " ", certificate.Subject());
}

// What is wrong with a certificate; empty: nothing.
using Fault = std::function<std::string(const pki::Certificate&)>;

std::string WeakAlgorithm(const pki::Certificate& certificate) {
  return std::string(certificate.CheckAlgorithms().message());
}

Fault OutsideValidity(std::string_view what, absl::Time now) {
  return [what, now](const pki::Certificate& certificate) -> std::string {
    if (now < certificate.not_before()) {
      return base::StrCat(what,
                          " not valid before: ", Utc(certificate.not_before()));
    }
    if (now >= certificate.not_after()) {
      return base::StrCat(what, " not valid anymore. Expired on ",
                          Utc(certificate.not_after()));
    }
    return "";
  };
}

Fault EndsSoon(std::string_view what, absl::Time now) {
  return [what, now](const pki::Certificate& certificate) -> std::string {
    if (now + kSoon < certificate.not_after()) return "";
    return base::StrCat(what, " will expire on ", Utc(certificate.not_after()));
  };
}

// Adds the line; false when it failed.
bool AddLine(model::CheckCategory* category, std::string description,
             const Certificates& certificates, std::string_view heading,
             const Fault& fault, Result bad, std::string hint) {
  std::string faults;
  for (const pki::Certificate& each : certificates) {
    const std::string why = fault(each);
    if (why.empty()) continue;
    base::StrAppend(&faults, "\n\t* ", NameOf(each), " ", why);
  }
  model::Check line{std::move(description)};
  if (!faults.empty()) {
    line.result = bad;
    line.error = base::StrCat(heading, faults);
    line.hint = std::move(hint);
  }
  category->checks.push_back(std::move(line));
  return faults.empty();
}

// The CAs that have signed what is in use, each once.
Certificates IssuersOf(const CheckInput& input) {
  std::map<std::string, pki::Certificate> issuers;
  for (const auto& credential : input.credentials) {
    Certificates candidates(credential->chain.begin() + 1,
                            credential->chain.end());
    candidates.insert(candidates.end(), input.bundle->roots.begin(),
                      input.bundle->roots.end());
    for (const pki::Certificate& each : candidates) {
      if (credential->leaf().SignedBy(each)) {
        issuers.emplace(each.Sha256Hex(), each);
        break;
      }
    }
  }
  Certificates all;
  for (auto& [hash, issuer] : issuers) all.push_back(std::move(issuer));
  return all;
}

std::string ConfigFault(const CheckInput& input) {
  std::string fault;
  for (const std::string& problem : input.trust_problems) {
    base::StrAppend(&fault, fault.empty() ? "" : "\n", problem);
  }
  if (input.bundle == nullptr) {
    base::StrAppend(&fault, fault.empty() ? "" : "\n",
                    "there is no trust bundle yet");
  } else if (input.credentials.empty()) {
    for (const CertificateStatus& each : input.certificates) {
      base::StrAppend(&fault, fault.empty() ? "" : "\n",
                      each.identity.ToSpiffe(), ": ",
                      each.error.empty() ? "no certificate yet" : each.error);
    }
  }
  return fault;
}

}  // namespace

model::CheckCategory CheckIdentity(const CheckInput& input) {
  model::CheckCategory category{"nodeward-identity", {}};
  const std::string fault = ConfigFault(input);
  category.checks.push_back({"certificate config is valid"});
  if (!fault.empty()) {
    category.checks.back().result = Result::kError;
    category.checks.back().error = fault;
    category.checks.back().hint =
        "nodeward status tells more of the CA and the trust bundle";
  }
  if (input.bundle == nullptr) return category;
  const Certificates& anchors = input.bundle->roots;
  if (!AddLine(&category, "trust anchors are using supported crypto algorithm",
               anchors, "Invalid anchors:", WeakAlgorithm, Result::kError,
               "replace them: EC P-256 or P-384, or RSA from 2048 bits") ||
      !AddLine(&category, "trust anchors are within their validity period",
               anchors,
               "Invalid anchors:", OutsideValidity("trust anchor", input.now),
               Result::kError, "put a new root into the trust bundle")) {
    return category;
  }
  AddLine(&category, "trust anchors are valid for at least 60 days", anchors,
          "Anchors expiring soon:", EndsSoon("trust anchor", input.now),
          Result::kWarning,
          "add a new root to the trust bundle now, move the issuer, then take "
          "the old one out");
  const Certificates issuers = IssuersOf(input);
  if (!AddLine(&category, "issuer cert is using supported crypto algorithm",
               issuers, "Invalid issuer:", WeakAlgorithm, Result::kError,
               "replace it: EC P-256 or P-384, or RSA from 2048 bits") ||
      !AddLine(&category, "issuer cert is within its validity period", issuers,
               "Invalid issuer:",
               OutsideValidity("issuer certificate is", input.now),
               Result::kError, "give the CA a new issuer")) {
    return category;
  }
  AddLine(&category, "issuer cert is valid for at least 60 days", issuers,
          "Issuer expiring soon:", EndsSoon("issuer certificate", input.now),
          Result::kWarning, "give the CA a new issuer in time");
  // An issuer that is no anchor itself leads to one together with its leaf.
  model::Check line{"issuer cert is issued by the trust anchor"};
  for (const auto& credential : input.credentials) {
    const pki::Issued held{credential->chain, anchors};
    const base::Status leads = pki::CheckIssued(held, credential->identity,
                                                credential->key, input.now);
    if (leads.ok() || input.now >= credential->leaf().not_after()) continue;
    line.result = Result::kError;
    line.error = base::StrCat("issuer \"", credential->leaf().Issuer(),
                              "\": ", std::string(leads.message()));
    line.hint =
        "put the issuer's root into the trust bundle, or move the CA to "
        "an issuer under one that is there";
  }
  category.checks.push_back(std::move(line));
  return category;
}

model::CheckCategory CheckDataPlane(const CheckInput& input) {
  model::CheckCategory category{"nodeward-identity-data-plane", {}};
  std::string strangers;
  std::string late;
  for (const auto& credential : input.credentials) {
    const pki::Certificate& leaf = credential->leaf();
    const std::string who =
        base::StrCat("\n\t* ", credential->identity.ToSpiffe(), " (serial ",
                     leaf.SerialHex(), "): ");
    const pki::Issued held{credential->chain, input.bundle == nullptr
                                                  ? Certificates()
                                                  : input.bundle->roots};
    const base::Status leads = pki::CheckIssued(held, credential->identity,
                                                credential->key, input.now);
    if (!leads.ok()) {
      base::StrAppend(&strangers, who, std::string(leads.message()));
    }
    if (leaf.not_after() - input.now <
        kLate * (leaf.not_after() - leaf.not_before())) {
      base::StrAppend(&late, who, "expires on ", Utc(leaf.not_after()));
    }
  }
  std::string clock;
  for (const CertificateStatus& each : input.certificates) {
    if (each.state == CertificateState::kPending ||
        each.state == CertificateState::kExpired) {
      base::StrAppend(&late, "\n\t* ", each.identity.ToSpiffe(), ": ",
                      CertificateStateText(each.state),
                      each.error.empty() ? "" : ": ", each.error);
    }
    if (each.received == absl::InfinitePast()) continue;
    const absl::Duration ahead = each.received - each.not_before;
    if (ahead < absl::ZeroDuration() || ahead > kClockTolerance) {
      clock = base::StrCat("a certificate that came at ", Utc(each.received),
                           " by this node's clock is valid from ",
                           Utc(each.not_before));
    }
  }
  const auto add = [&category](std::string description, Result bad,
                               std::string_view heading, std::string_view text,
                               std::string hint) {
    model::Check line{std::move(description)};
    if (!text.empty()) {
      line.result = bad;
      line.error = base::StrCat(heading, text);
      line.hint = std::move(hint);
    }
    category.checks.push_back(std::move(line));
  };
  add("data plane proxies certificate match CA", Result::kWarning,
      "Some certificates in use do not lead to the current trust bundle:",
      strangers,
      "they are asked for anew by themselves; nodeward certs tells what the CA "
      "answers");
  add("data plane certificates are renewed in time", Result::kWarning,
      "Some certificates are late:", late,
      "nodeward certs tells what the CA answers");
  add("no clock skew between this node and the CA", Result::kWarning, "", clock,
      "synchronise the clocks (NTP)");
  return category;
}

}  // namespace nodeward::identity
