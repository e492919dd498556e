// SPDX-License-Identifier: Apache-2.0
#include "tls/context.h"

#include <openssl/ssl.h>

#include <utility>

#include "base/text.h"
#include "pki/openssl_error.h"
#include "tls/alpn.h"
#include "tls/peer_check.h"
#include "tls/vaes_provider.h"

namespace nodeward::tls {
namespace {

// AES-128 first: it costs a third less and is as safe here; peers that ask for
// AES-256 alone get it.
constexpr char kSuites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
constexpr char kGroups[] = "X25519:P-256";
// For servers outside of the mesh: what TLS 1.2 has with forward secrecy and
// authenticated encryption.
constexpr char kOlderSuites[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr char kServerGroups[] = "X25519:P-256:P-384";
// What a stranger can make us hold before it is verified. SVID chains with
// RSA-4096 throughout take 2 KB a certificate.
constexpr long kMaxPeerChain = 32 * 1024;

}  // namespace

base::StatusOr<std::shared_ptr<const Context>> Context::Create(
    Role role, Options options,
    std::shared_ptr<const pki::Credential> credential,
    std::shared_ptr<const pki::TrustBundle> bundle) {
  if (credential == nullptr || credential->chain.empty()) {
    return absl::FailedPreconditionError(
        "make TLS context: there is no credential");
  }
  if (bundle == nullptr || bundle->roots.empty()) {
    return absl::FailedPreconditionError(
        "make TLS context: there is no root to verify peers against");
  }
  auto context = std::shared_ptr<Context>(new Context());
  context->role_ = role;
  context->options_ = options;
  context->credential_ = std::move(credential);
  NODEWARD_ASSIGN(context->verifier_,
                  pki::PeerVerifier::Create(std::move(bundle)));
  NODEWARD_TRY(
      base::Annotate(context->Build(),
                     base::StrCat("make TLS context for ",
                                  context->credential_->identity.ToSpiffe())));
  return context;
}

base::StatusOr<std::shared_ptr<const Context>> Context::CreateOriginating(
    std::shared_ptr<const pki::ClientMaterial> material, Origin origin) {
  auto context = std::shared_ptr<Context>(new Context());
  context->material_ = std::move(material);
  context->origin_ = std::move(origin);
  NODEWARD_TRY(base::Annotate(context->BuildOriginating(),
                              "make TLS context for a DestinationRule"));
  return context;
}

base::Status Context::BuildOriginating() {
  // Not the VAES library: its ciphers do not know TLS 1.2's records.
  ctx_ = SSL_CTX_new(TLS_client_method());
  if (ctx_ == nullptr) return pki::OpenSslStatus("make SSL_CTX");
  if (SSL_CTX_set_min_proto_version(ctx_, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(ctx_, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(ctx_, kSuites) != 1 ||
      SSL_CTX_set_cipher_list(ctx_, kOlderSuites) != 1 ||
      SSL_CTX_set1_groups_list(ctx_, kServerGroups) != 1) {
    return pki::OpenSslStatus("set TLS parameters");
  }
  SSL_CTX_set_options(
      ctx_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(ctx_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(ctx_, SSL_MODE_NO_AUTO_CHAIN);
  if (material_->key() != nullptr) {
    NODEWARD_TRY(UseCertificate(material_->chain(), *material_->key()));
  }
  SSL_CTX_set_verify(ctx_, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_max_cert_list(ctx_, kMaxPeerChain);
  PeerCheck::Install(ctx_);
  static constexpr unsigned char kH2[] = {2, 'h', '2'};
  if (origin_.h2 && SSL_CTX_set_alpn_protos(ctx_, kH2, sizeof(kH2)) != 0) {
    return pki::OpenSslStatus("set ALPN");
  }
  return base::OkStatus();
}

Context::~Context() { SSL_CTX_free(ctx_); }

base::Status Context::Build() {
  ctx_ = SSL_CTX_new_ex(
      VaesLibrary(), kVaesFirst,
      role_ == Role::kServer ? TLS_server_method() : TLS_client_method());
  if (ctx_ == nullptr) return pki::OpenSslStatus("make SSL_CTX");
  if (SSL_CTX_set_min_proto_version(ctx_, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(ctx_, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(ctx_, kSuites) != 1 ||
      SSL_CTX_set1_groups_list(ctx_, kGroups) != 1) {
    return pki::OpenSslStatus("set TLS parameters");
  }
  SSL_CTX_set_options(ctx_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(ctx_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx_, 0);
  SSL_CTX_set_max_early_data(ctx_, 0);
  // No SSL_MODE_RELEASE_BUFFERS and no read-ahead. The first would free and
  // allocate 16 KB with every record; Session::Shrink does it when a
  // connection falls idle. The second only moves bytes from one memory to
  // another earlier, where nobody can see whether they hold a whole record.
  SSL_CTX_set_mode(ctx_, SSL_MODE_NO_AUTO_CHAIN);
  NODEWARD_TRY(UseCredential());
  SSL_CTX_set_verify(ctx_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     nullptr);
  SSL_CTX_set_max_cert_list(ctx_, kMaxPeerChain);
  PeerCheck::Install(ctx_);
  return UseAlpn(ctx_, role_, options_.alpn);
}

base::Status Context::UseCredential() {
  return UseCertificate(credential_->chain, credential_->key);
}

base::Status Context::UseCertificate(const std::vector<pki::Certificate>& chain,
                                     const pki::PrivateKey& key) {
  if (SSL_CTX_use_certificate(ctx_, chain.front().native()) != 1 ||
      SSL_CTX_use_PrivateKey(ctx_, key.native()) != 1 ||
      SSL_CTX_check_private_key(ctx_) != 1) {
    return pki::OpenSslStatus("use certificate and key");
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(ctx_, chain[i].native()) != 1) {
      return pki::OpenSslStatus("use certificate chain");
    }
  }
  return base::OkStatus();
}

}  // namespace nodeward::tls
