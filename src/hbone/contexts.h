// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "model/identity.h"
#include "pki/client_material.h"
#include "pki/credential.h"
#include "pki/peer_verifier.h"
#include "tls/context.h"
#include "tls/session.h"

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
  // For servers outside of the mesh. Null when it cannot be made, which is
  // logged. The same pointer as long as somebody uses it.
  std::shared_ptr<const tls::Context> FindOriginating(
      const std::shared_ptr<const pki::ClientMaterial>& material,
      const tls::Context::Origin& origin);
  // The store has changed: what is outdated is made anew when it is needed.
  // True when peers that were accepted before must be checked again.
  bool Refresh();
  // Whether the bundle in force takes the peer of an established session.
  base::Status CheckPeer(const tls::Session& session);
  // Why Find has none for `identity`.
  std::string WhyNone(const model::Identity& identity) const;

 private:
  using Key =
      std::tuple<model::Identity, tls::Role, tls::Context::Options::Alpn>;
  const pki::CredentialStore* const store_;
  std::vector<std::shared_ptr<const tls::Context>> originating_;
  absl::flat_hash_map<Key, std::shared_ptr<const tls::Context>> contexts_;
  std::shared_ptr<const pki::TrustBundle> bundle_;     // as of the last Refresh
  std::shared_ptr<const pki::PeerVerifier> verifier_;  // CheckPeer's last
};

}  // namespace nodeward::hbone
