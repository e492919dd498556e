// SPDX-License-Identifier: Apache-2.0
#include "ca/serving_certificate.h"

#include <utility>

#include "pki/key.h"

namespace nodeward::ca {

ServingCertificate::ServingCertificate(Options options)
    : options_(std::move(options)) {}

ServingCertificate::~ServingCertificate() {
  base::MutexLock lock(&mutex_);
  pki::Wipe(&pem_.key);
}

base::Status ServingCertificate::Refresh(
    const std::shared_ptr<const pki::Authority>& authority, absl::Time now) {
  if (authority == authority_ && now < renew_at_) return base::OkStatus();
  NODEWARD_ASSIGN(const pki::PrivateKey key, pki::PrivateKey::GenerateP256());
  NODEWARD_ASSIGN(
      const pki::Issued issued,
      authority->IssueServer(options_.names, key.native(),
                             {.not_before = now - options_.clock_skew,
                              .not_after = now + options_.lifetime},
                             now));
  std::string chain;
  for (const pki::Certificate& certificate : issued.chain) {
    chain += certificate.ToPem();
  }
  std::string roots;
  for (const pki::Certificate& root : issued.roots) roots += root.ToPem();
  NODEWARD_ASSIGN(std::string key_pem, key.ToPem());
  authority_ = authority;
  const absl::Time not_after = issued.chain.front().not_after();
  renew_at_ = now + (not_after - now) / 2;
  base::MutexLock lock(&mutex_);
  pki::Wipe(&pem_.key);
  pem_.chain = std::move(chain);
  pem_.key = std::move(key_pem);
  pem_.roots = std::move(roots);
  ++pem_.generation;
  not_after_ = not_after;
  return base::OkStatus();
}

std::optional<ServingCertificate::Pem> ServingCertificate::NewerThan(
    uint64_t generation) const {
  base::MutexLock lock(&mutex_);
  if (pem_.generation == generation) return std::nullopt;
  return pem_;
}

absl::Time ServingCertificate::not_after() const {
  base::MutexLock lock(&mutex_);
  return not_after_;
}

}  // namespace nodeward::ca
