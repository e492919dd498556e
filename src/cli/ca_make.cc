// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/text.h"
#include "ca/https_client.h"
#include "ca/issuer_secret.h"
#include "ca/kubernetes_place.h"
#include "ca/object_name.h"
#include "cli/ca.h"
#include "pki/authority.h"
#include "pki/issuer_files.h"
#include "pki/new_folder.h"
#include "pki/root_folder.h"
#include "pki/signer.h"

namespace nodeward::cli {
namespace {

using base::StrCat;

constexpr absl::Duration kSkew = absl::Seconds(20);

base::StatusOr<absl::Duration> ParseLifetime(const std::string& text) {
  absl::Duration lifetime;
  if (!absl::ParseDuration(text, &lifetime) || lifetime < absl::Minutes(1) ||
      lifetime > absl::Hours(24 * 365 * 50)) {
    return absl::InvalidArgumentError(
        StrCat("--lifetime: '", text,
               "' is not a duration from 1m to 438000h (50 years)"));
  }
  return lifetime;
}

std::string Day(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

// The pair of a CA's folder in whichever format.
base::StatusOr<pki::Root> ReadRoot(const std::string& folder) {
  NODEWARD_ASSIGN(pki::AuthorityParts parts, pki::ReadIssuer({folder, "", ""}));
  for (const pki::Certificate& certificate : parts.certificates) {
    if (!certificate.Matches(parts.key)) continue;
    pki::Root root{certificate, std::move(parts.key)};
    NODEWARD_TRY(base::Annotate(pki::CheckRoot(root), parts.source));
    return root;
  }
  return absl::FailedPreconditionError(
      StrCat(parts.source,
             ": the key and the certificate do not belong "
             "together"));
}

// As a CA would take it: a root may forbid what was just made.
base::Status Try(const pki::Root& made, const std::string& key_pem,
                 const pki::Root& root, const std::string& trust_domain,
                 absl::Time now) {
  NODEWARD_ASSIGN(pki::PrivateKey key, pki::PrivateKey::ParsePem(key_pem));
  return pki::Authority::Create({.certificates = {made.certificate},
                                 .key = std::move(key),
                                 .roots = {root.certificate},
                                 .source = "",
                                 .warnings = {}},
                                trust_domain, now)
      .status();
}

}  // namespace

base::StatusOr<int> CaInit(Environment& environment,
                           const CaInitOptions& options) {
  NODEWARD_ASSIGN(const absl::Duration lifetime,
                  ParseLifetime(options.lifetime));
  const absl::Time now = absl::Now();
  bool made = false;
  NODEWARD_ASSIGN(
      const pki::Root root, pki::OpenRootFolder(options.folder, [&] {
        made = true;
        return pki::MakeRoot(
            options.trust_domain,
            {.not_before = now - kSkew, .not_after = now + lifetime});
      }));
  if (!made) {
    return absl::AlreadyExistsError(
        StrCat(options.folder, " has a root already, valid until ",
               Day(root.certificate.not_after()),
               " (choose another folder; nothing was changed)"));
  }
  environment.out << "Your certificate has been saved in " << options.folder
                  << "/ca.crt.\nYour private key has been saved in "
                  << options.folder << "/ca.key.\n";
  return kOk;
}

base::StatusOr<int> CaIssueIntermediate(Environment& environment,
                                        const CaIntermediateOptions& options) {
  NODEWARD_ASSIGN(const absl::Duration lifetime,
                  ParseLifetime(options.lifetime));
  NODEWARD_ASSIGN(const pki::Root root, ReadRoot(options.root));
  const absl::Time now = absl::Now();
  const absl::Time end = std::min(now + lifetime, root.certificate.not_after());
  if (end <= now) {
    return absl::FailedPreconditionError(
        StrCat("the root expired on ", Day(root.certificate.not_after())));
  }
  NODEWARD_ASSIGN(
      const pki::Root made,
      pki::MakeIntermediate(root, options.trust_domain, options.common_name,
                            {.not_before = now - kSkew, .not_after = end}));
  NODEWARD_ASSIGN(std::string key, made.key.ToPem());
  base::Status written = Try(made, key, root, options.trust_domain, now);
  if (written.ok()) {
    written = pki::MakeNewFolder(options.folder,
                                 {{"tls.crt", made.certificate.ToPem(), 0644},
                                  {"tls.key", key, 0600},
                                  {"ca.crt", root.certificate.ToPem(), 0644}});
  }
  pki::Wipe(&key);
  NODEWARD_TRY(written);
  environment.out << "Intermediate, valid until " << Day(end)
                  << ", has been saved in " << options.folder
                  << "/ (tls.crt, tls.key, ca.crt).\n";
  return kOk;
}

base::StatusOr<int> CaCreateSecret(Environment& environment,
                                   const CaCreateSecretOptions& options) {
  NODEWARD_ASSIGN(const absl::Duration lifetime,
                  ParseLifetime(options.lifetime));
  NODEWARD_ASSIGN(const ca::ObjectName place,
                  ca::ParseObjectName(options.secret));
  NODEWARD_ASSIGN(
      const ca::KubernetesPlace kubernetes,
      ca::FindKubernetes({options.kubernetes_api, options.kubernetes_ca,
                          options.kubernetes_token}));
  const absl::Time now = absl::Now();
  NODEWARD_ASSIGN(
      const pki::Root root,
      pki::MakeRoot(options.trust_domain,
                    {.not_before = now - kSkew, .not_after = now + lifetime}));
  ca::HttpsClient api({.server = kubernetes.api,
                       .ca_file = kubernetes.ca,
                       .token_file = kubernetes.token});
  NODEWARD_ASSIGN(const bool made,
                  ca::CreateIssuerSecret(
                      [&](const std::string& path, const std::string& json)
                          -> base::StatusOr<std::pair<long, std::string>> {
                        NODEWARD_ASSIGN(ca::HttpsClient::Answer answer,
                                        api.Post(path, json));
                        return std::pair(answer.status, std::move(answer.body));
                      },
                      place, root));
  environment.out << "Secret " << place.ToString()
                  << (made ? StrCat(" has been made, with a root valid until ",
                                    Day(root.certificate.not_after()))
                           : " is there already; nothing was changed")
                  << ".\n";
  return kOk;
}

}  // namespace nodeward::cli
