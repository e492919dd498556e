// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "model/identity.h"
#include "pki/certificate.h"

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
struct TrustBundle {
  std::string trust_domain;
  std::vector<std::string> aliases;
  std::vector<Certificate> roots;
  uint64_t generation = 0;

  bool Trusts(std::string_view domain) const;
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
  void Remove(const model::Identity& identity);
  void SetBundle(std::shared_ptr<const TrustBundle> bundle);

 private:
  mutable base::Mutex mutex_;
  absl::flat_hash_map<model::Identity, std::shared_ptr<const Credential>>
      credentials_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const TrustBundle> bundle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace nodeward::pki
