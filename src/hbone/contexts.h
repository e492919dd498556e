// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "model/identity.h"
#include "pki/credential.h"
#include "tls/context.h"

namespace nodeward::hbone {

// The TLS contexts of one worker, made of the store's credentials when they
// are first needed. The store's lock is taken only then.
class Contexts {
 public:
  // `store` outlives it.
  explicit Contexts(const pki::CredentialStore* store) : store_(store) {}

  // Null while there is no valid credential or no bundle. The same pointer
  // until the credential or the bundle behind it changes.
  std::shared_ptr<const tls::Context> Find(const model::Identity& identity,
                                           tls::Role role,
                                           tls::Context::Options::Alpn alpn);
  // The store has changed: what is outdated is made anew when it is needed.
  void Refresh();

 private:
  using Key =
      std::tuple<model::Identity, tls::Role, tls::Context::Options::Alpn>;
  const pki::CredentialStore* const store_;
  absl::flat_hash_map<Key, std::shared_ptr<const tls::Context>> contexts_;
};

}  // namespace nodeward::hbone
