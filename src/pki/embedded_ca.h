// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "pki/issuer.h"
#include "pki/signer.h"

namespace nodeward::pki {

// A CA in the agent: a folder holding ca.crt and ca.key (0600). Several agents
// may share the folder; those that start at once end with one root. Another
// pair put there is signed with from the next certificate on; one that cannot
// be used is reported and the former stays.
class EmbeddedCa : public Issuer {
 public:
  struct Options {
    std::string folder;
    std::string trust_domain;
    absl::Duration lifetime = absl::Hours(24);
    absl::Duration clock_skew = absl::Seconds(20);
    absl::Duration root_lifetime = absl::Hours(24 * 3650);
    // Wall clock, injected for tests.
    std::function<absl::Time()> clock = [] { return absl::Now(); };
  };
  // Reads the root, or makes it when the folder holds neither file. One file
  // without the other, a pair that does not match, an expired root, a key that
  // others may read, a folder that cannot be read or written: an error that
  // says so and the remedy.
  static base::StatusOr<std::unique_ptr<EmbeddedCa>> Open(Options options);
  ~EmbeddedCa() override;

  // Any thread. Of the CSR only the key is used; its signature must be right
  // and its one name the identity. The leaf never outlives the root.
  void Issue(const model::Identity& identity, std::string csr_pem,
             std::function<void(base::StatusOr<Issued>)> done) override;
  std::string Description() const override;
  Certificate root() const;

 private:
  EmbeddedCa(Options options, Root root);
  base::StatusOr<Issued> Sign(const model::Identity& identity,
                              const std::string& csr_pem);
  std::shared_ptr<const Root> Current();

  const Options options_;
  mutable base::Mutex mutex_;
  std::shared_ptr<const Root> root_ ABSL_GUARDED_BY(mutex_);
  std::string seen_ ABSL_GUARDED_BY(mutex_);  // the files that root_ is of
};

}  // namespace nodeward::pki
