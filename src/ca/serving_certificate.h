// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status.h"
#include "pki/authority.h"
#include "pki/signer.h"

namespace nodeward::ca {

// The certificate of the CA's own TLS port: made by its issuer, renewed at half
// its life and whenever the issuer changes, so that who trusts the bundle
// trusts the port. The key is in memory only.
class ServingCertificate {
 public:
  struct Options {
    pki::ServerNames names;
    absl::Duration lifetime = absl::Hours(24);
    absl::Duration clock_skew = absl::Seconds(20);
  };
  explicit ServingCertificate(Options options);
  ~ServingCertificate();

  // Renews if it is time to. After an error what was there goes on.
  base::Status Refresh(const std::shared_ptr<const pki::Authority>& authority,
                       absl::Time now);

  struct Pem {
    std::string chain;
    std::string key;  // wiped by the caller
    std::string roots;
    uint64_t generation = 0;
  };
  // Any thread. Nothing when `generation` is still the newest.
  std::optional<Pem> NewerThan(uint64_t generation) const;
  absl::Time not_after() const;

 private:
  const Options options_;
  std::shared_ptr<const pki::Authority> authority_;
  absl::Time renew_at_ = absl::InfinitePast();
  mutable base::Mutex mutex_;
  Pem pem_ ABSL_GUARDED_BY(mutex_);
  absl::Time not_after_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace nodeward::ca
