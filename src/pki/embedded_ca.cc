// SPDX-License-Identifier: Apache-2.0
#include "pki/embedded_ca.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "pki/csr.h"
#include "pki/root_folder.h"

namespace nodeward::pki {
namespace {

// Differs when somebody has put another pair there.
std::string LookAt(const std::string& folder) {
  std::string seen;
  for (const char* name : {"/ca.crt", "/ca.key"}) {
    struct stat info {};
    if (stat((folder + name).c_str(), &info) != 0) continue;
    base::StrAppend(&seen, name, " ", info.st_ino, " ", info.st_size, " ",
                    absl::ToUnixNanos(absl::TimeFromTimespec(info.st_mtim)));
  }
  return seen;
}

}  // namespace

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
    : options_(std::move(options)),
      root_(std::make_shared<const Root>(std::move(root))),
      seen_(LookAt(options_.folder)) {}

Certificate EmbeddedCa::root() const {
  base::MutexLock lock(&mutex_);
  return root_->certificate;
}

std::shared_ptr<const Root> EmbeddedCa::Current() {
  base::MutexLock lock(&mutex_);
  std::string seen = LookAt(options_.folder);
  if (seen == seen_) return root_;
  seen_ = std::move(seen);
  base::StatusOr<Root> root =
      OpenRootFolder(options_.folder, []() -> base::StatusOr<Root> {
        return absl::FailedPreconditionError("ca.crt and ca.key are gone");
      });
  base::Status usable = root.status();
  if (usable.ok() && options_.clock() >= root->certificate.not_after()) {
    usable = absl::FailedPreconditionError("the root has expired");
  }
  if (!usable.ok()) {
    base::LogError(
        "issuer not changed",
        {{"ca", Description()}, {"error", std::string(usable.message())}});
    return root_;
  }
  base::LogInfo("issuer changed", {{"ca", Description()},
                                   {"serial", root->certificate.SerialHex()},
                                   {"subject", root->certificate.Subject()}});
  root_ = std::make_shared<const Root>(*std::move(root));
  return root_;
}

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
                                        const std::string& csr_pem) {
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
  const std::shared_ptr<const Root> root = Current();
  const absl::Time end = root->certificate.not_after();
  if (now >= end) {
    return absl::FailedPreconditionError(base::StrCat(
        "the root expired on ", absl::FormatTime(end, absl::UTCTimeZone())));
  }
  NODEWARD_ASSIGN(
      Certificate leaf,
      SignLeaf(*root, csr.public_key(), identity,
               {.not_before = now - options_.clock_skew,
                .not_after = std::min(now + options_.lifetime, end)}));
  return Issued{.chain = {std::move(leaf)}, .roots = {root->certificate}};
}

}  // namespace nodeward::pki
