// SPDX-License-Identifier: Apache-2.0
//
// tls: the TLS engine. Bytes in, bytes out: no socket, no clock of its own, no
// thread; it can be tested byte by byte and fuzzed. TLS 1.3 only.
#pragma once

#include <cstdint>
#include <memory>

#include "base/status.h"
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
  ~Context();

  Role role() const { return role_; }
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
  base::Status UseCredential();

  Role role_ = Role::kClient;
  Options options_;
  std::shared_ptr<const pki::Credential> credential_;
  std::shared_ptr<const pki::PeerVerifier> verifier_;
  ssl_ctx_st* ctx_ = nullptr;
};

}  // namespace nodeward::tls
