// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "model/identity.h"
#include "pki/certificate.h"
#include "pki/issuer.h"
#include "pki/key.h"
#include "pki/signer.h"

namespace nodeward::pki {

// What a CA signs with, as it was found somewhere: nothing is checked yet.
struct AuthorityParts {
  // The signer's and those above it, in any order; the signer's is the one
  // that `key` matches. Others may be among them.
  std::vector<Certificate> certificates;
  PrivateKey key;
  std::vector<Certificate> roots;
  std::string source;  // "tls.crt + tls.key in /etc/issuer"
  // What an operator should know but that stops nothing.
  std::vector<std::string> warnings;
};

// A signing key that was tried: a leaf of the trust domain that it made has
// been verified against the roots, as a client's and as a server's. Immutable,
// shared between threads.
class Authority {
 public:
  // An error says what is wrong with the signer: no certificate matches the
  // key, it is no CA's, not valid at `now`, its path leads to none of the roots
  // (a limit of path length, of names or of usage counts), a weak algorithm.
  static base::StatusOr<std::shared_ptr<const Authority>> Create(
      AuthorityParts parts, std::string_view trust_domain, absl::Time now);

  // From `not_before` to `not_after` or the end of the chain, whichever is
  // first. FailedPrecondition when the chain has ended before `now`.
  base::StatusOr<Issued> Issue(const model::Identity& identity,
                               evp_pkey_st* key, const Validity& validity,
                               absl::Time now) const;
  base::StatusOr<Issued> IssueServer(const ServerNames& names, evp_pkey_st* key,
                                     const Validity& validity,
                                     absl::Time now) const;

  const Certificate& signer() const { return signer_; }
  // The signer and what is above it, without the root: empty when the signer
  // is the root.
  const std::vector<Certificate>& intermediates() const { return between_; }
  const std::vector<Certificate>& roots() const { return roots_; }
  // The earliest end on the path, the root's included.
  absl::Time not_after() const { return not_after_; }
  const std::string& source() const { return source_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  // Equal when a swap would change nothing.
  bool SameAs(const Authority& other) const;

 private:
  Authority(AuthorityParts parts, Certificate signer);
  base::Status FindPath(std::string_view trust_domain, absl::Time now);
  base::StatusOr<std::vector<Certificate>> Verify(const Certificate& probe,
                                                  int purpose,
                                                  absl::Time now) const;
  base::StatusOr<Validity> Clamp(const Validity& asked, absl::Time now) const;

  Certificate signer_;
  PrivateKey key_;
  std::vector<Certificate> between_;
  std::vector<Certificate> roots_;
  absl::Time not_after_;
  std::string source_;
  std::vector<std::string> warnings_;
};

}  // namespace nodeward::pki
