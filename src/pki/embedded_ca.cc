// SPDX-License-Identifier: Apache-2.0
#include "pki/embedded_ca.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "pki/csr.h"
#include "pki/root_folder.h"

namespace nodeward::pki {

base::StatusOr<std::unique_ptr<EmbeddedCa>> EmbeddedCa::Open(Options options) {
  if (options.folder.empty() || options.trust_domain.empty()) {
    return absl::InvalidArgumentError(
        "open CA: a folder and a trust domain are needed");
  }
  const absl::Time now = options.clock();
  NODEWARD_ASSIGN(Root root, OpenRootFolder(options.folder, [&options, now] {
                    return MakeRoot(options.trust_domain,
                                    {.not_before = now - options.clock_skew,
                                     .not_after = now + options.root_lifetime});
                  }));
  if (now >= root.certificate.not_after()) {
    return absl::FailedPreconditionError(base::StrCat(
        "open CA: the root in ", options.folder, " expired on ",
        absl::FormatTime(root.certificate.not_after(), absl::UTCTimeZone()),
        " (move ca.crt and ca.key away for a new root, which every peer then "
        "has to trust)"));
  }
  return std::unique_ptr<EmbeddedCa>(
      new EmbeddedCa(std::move(options), std::move(root)));
}

EmbeddedCa::EmbeddedCa(Options options, Root root)
    : options_(std::move(options)), root_(std::move(root)) {}

EmbeddedCa::~EmbeddedCa() = default;

void EmbeddedCa::Issue(const model::Identity& identity, std::string csr_pem,
                       std::function<void(base::StatusOr<Issued>)> done) {
  base::StatusOr<Issued> issued = Sign(identity, csr_pem);
  if (!issued.ok()) {
    issued = base::Annotate(issued.status(),
                            base::StrCat("issue ", identity.ToSpiffe()));
  }
  done(std::move(issued));
}

std::string EmbeddedCa::Description() const {
  return base::StrCat("embedded ", options_.folder);
}

base::StatusOr<Issued> EmbeddedCa::Sign(const model::Identity& identity,
                                        const std::string& csr_pem) const {
  if (identity.trust_domain != options_.trust_domain) {
    return absl::PermissionDeniedError(
        base::StrCat("this CA's trust domain is ", options_.trust_domain));
  }
  NODEWARD_ASSIGN(const Csr csr, Csr::ParsePem(csr_pem));
  NODEWARD_ASSIGN(const model::Identity asked, csr.SpiffeId());
  if (asked != identity) {
    return absl::PermissionDeniedError(
        base::StrCat("the CSR names ", asked.ToSpiffe()));
  }
  const absl::Time now = options_.clock();
  const absl::Time end = root_.certificate.not_after();
  if (now >= end) {
    return absl::FailedPreconditionError(base::StrCat(
        "the root expired on ", absl::FormatTime(end, absl::UTCTimeZone())));
  }
  NODEWARD_ASSIGN(
      Certificate leaf,
      SignLeaf(root_, csr.public_key(), identity,
               {.not_before = now - options_.clock_skew,
                .not_after = std::min(now + options_.lifetime, end)}));
  return Issued{.chain = {std::move(leaf)}, .roots = {root_.certificate}};
}

}  // namespace nodeward::pki
