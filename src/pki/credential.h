// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "model/identity.h"
#include "pki/certificate.h"
#include "pki/revocation.h"

namespace nodeward::pki {

// What speaks for one ServiceAccount: an SVID with its chain and key.
// Immutable.
struct Credential {
  model::Identity identity;
  std::vector<Certificate> chain;  // leaf first, without the root
  PrivateKey key;
  uint64_t generation = 0;  // grows with every renewal, over all identities

  const Certificate& leaf() const { return chain.front(); }
};

// The roots that peers are verified against, and which trust domains are ours.
// Immutable.
struct TrustBundle {
  std::string trust_domain;
  std::vector<std::string> aliases;
  std::vector<Certificate> roots;  // of ours and its aliases
  uint64_t generation = 0;
  // The roots of other trust domains, whose peers are accepted, too.
  std::map<std::string, std::vector<Certificate>> federation = {};
  std::vector<RevocationList> revocations = {};
  // Whoever's CA has no list in date is refused.
  bool revocation_required = false;

  // Ours or an alias of it.
  bool IsOurs(std::string_view domain) const;
  // The same, or federated.
  bool Trusts(std::string_view domain) const;
  // Whether `peer` is `expected`, by whichever name of our trust domain.
  bool Same(const model::Identity& peer, const model::Identity& expected) const;
};

// Written by identity, read by the data path. Thread-safe.
class CredentialStore {
 public:
  // Null while there is none, and never an expired one's replacement: what is
  // there is what was put there.
  std::shared_ptr<const Credential> Find(const model::Identity& identity) const;
  std::shared_ptr<const TrustBundle> bundle() const;
  std::vector<std::shared_ptr<const Credential>> All() const;

  void Put(std::shared_ptr<const Credential> credential);
  // `why` is what WhyNone answers from now on; empty: it is not wanted.
  void Remove(const model::Identity& identity, std::string why = "");
  // Why Find has none: "expired on …: the CA is away".
  std::string WhyNone(const model::Identity& identity) const;
  void SetWhyNone(const model::Identity& identity, std::string why);
  void SetBundle(std::shared_ptr<const TrustBundle> bundle);

 private:
  mutable base::Mutex mutex_;
  absl::flat_hash_map<model::Identity, std::shared_ptr<const Credential>>
      credentials_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<model::Identity, std::string> missing_
      ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const TrustBundle> bundle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace nodeward::pki
