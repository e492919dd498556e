// SPDX-License-Identifier: Apache-2.0
//
// tls: the TLS engine. Bytes in, bytes out: no socket, no clock of its own, no
// thread; it can be tested byte by byte and fuzzed. TLS 1.3 only, but 1.2 too
// with servers outside of the mesh.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "pki/client_material.h"
#include "pki/credential.h"
#include "pki/peer_verifier.h"

struct ssl_ctx_st;

namespace nodeward::tls {

enum class Role { kClient, kServer };

// One credential and one bundle made ready for sessions; immutable, shared,
// any thread. Server: client certificate required; ALPN as Options say. No
// resumption, no early data, no renegotiation, no SNI.
class Context {
 public:
  struct Options {
    // Server: accept "h2" alone (HBONE, port 15008), or "istio" and its kin
    // ("istio-http/1.1", "istio-peer-exchange", …), as sidecars offer on the
    // service's own port; a client that offers none of them is refused.
    // Client: offer "h2" or "istio", and insist that the server selects it.
    enum class Alpn { kH2, kIstio } alpn = Alpn::kH2;
    // A session changes its sending key after about this many records. RFC
    // 8446 5.5 allows AES-GCM 2^24.5 full ones.
    uint64_t records_per_key = uint64_t{1} << 23;
  };
  static base::StatusOr<std::shared_ptr<const Context>> Create(
      Role role, Options options,
      std::shared_ptr<const pki::Credential> credential,
      std::shared_ptr<const pki::TrustBundle> bundle);
  // A client to servers outside of the mesh, which have no SPIFFE ID.
  struct Origin {
    pki::ExpectedServer server;
    bool h2 = false;  // offer ALPN h2; the server need not take it

    friend bool operator==(const Origin&, const Origin&) = default;
  };
  static base::StatusOr<std::shared_ptr<const Context>> CreateOriginating(
      std::shared_ptr<const pki::ClientMaterial> material, Origin origin);
  ~Context();

  Role role() const { return role_; }
  // Null: for peers of the mesh. Else there is no credential, bundle and
  // verifier.
  const pki::ClientMaterial* material() const { return material_.get(); }
  const Origin& origin() const { return origin_; }
  const pki::Credential& credential() const { return *credential_; }
  const pki::TrustBundle& bundle() const { return verifier_->bundle(); }
  const pki::PeerVerifier& verifier() const { return *verifier_; }
  const Options& options() const { return options_; }
  ssl_ctx_st* native() const { return ctx_; }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

 private:
  Context() = default;
  base::Status Build();
  base::Status BuildOriginating();
  base::Status UseCredential();
  base::Status UseCertificate(const std::vector<pki::Certificate>& chain,
                              const pki::PrivateKey& key);

  Role role_ = Role::kClient;
  Options options_;
  std::shared_ptr<const pki::Credential> credential_;
  std::shared_ptr<const pki::PeerVerifier> verifier_;
  std::shared_ptr<const pki::ClientMaterial> material_;
  Origin origin_;
  ssl_ctx_st* ctx_ = nullptr;
};

}  // namespace nodeward::tls
