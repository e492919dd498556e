// SPDX-License-Identifier: Apache-2.0
#include "tls/peer_check.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/text.h"
#include "pki/peer_verifier.h"
#include "tls/alpn.h"

namespace nodeward::tls {

// In place of X509_verify_cert, whose roots are one set for all peers.
struct PeerCheck::Callback {
  static int Verify(X509_STORE_CTX* path, void*) {
    auto* ssl = static_cast<SSL*>(
        X509_STORE_CTX_get_ex_data(path, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* check = static_cast<PeerCheck*>(SSL_get_app_data(ssl));
    int code = X509_V_OK;
    if (const auto* material = check->context_.material()) {
      const base::Status server =
          material->CheckServer({.leaf = X509_STORE_CTX_get0_cert(path),
                                 .others = X509_STORE_CTX_get0_untrusted(path)},
                                check->context_.origin().server, &code);
      check->error_ = base::Annotate(server, "verify server certificate");
      X509_STORE_CTX_set_error(path, code);
      return server.ok() ? 1 : 0;
    }
    base::StatusOr<model::Identity> peer = check->context_.verifier().Verify(
        {.leaf = X509_STORE_CTX_get0_cert(path),
         .others = X509_STORE_CTX_get0_untrusted(path),
         .by_client = check->context_.role() == Role::kServer},
        &code);
    if (!peer.ok()) {
      check->error_ = base::Annotate(peer.status(), "verify peer certificate");
      X509_STORE_CTX_set_error(path, code);  // becomes the alert
      return 0;
    }
    base::Status alpn = check->CheckAlpn(ssl);
    if (!alpn.ok()) {
      check->error_ = std::move(alpn);
      // Becomes the alert handshake_failure.
      X509_STORE_CTX_set_error(path, X509_V_ERR_APPLICATION_VERIFICATION);
      return 0;
    }
    base::Status expected = check->CheckExpected(*peer);
    if (!expected.ok()) {
      check->error_ = base::Annotate(expected, "verify peer certificate");
      // Becomes the alert bad_certificate.
      X509_STORE_CTX_set_error(path, X509_V_ERR_CERT_REJECTED);
      return 0;
    }
    check->peer_ = *std::move(peer);
    return 1;
  }
};

void PeerCheck::Install(ssl_ctx_st* native) {
  SSL_CTX_set_cert_verify_callback(native, Callback::Verify, nullptr);
}

void PeerCheck::Attach(ssl_st* ssl) { SSL_set_app_data(ssl, this); }

base::Status PeerCheck::CheckExpected(const model::Identity& peer) const {
  if (context_.role() == Role::kServer) return base::OkStatus();
  if (std::any_of(expected_.begin(), expected_.end(),
                  [&](const model::Identity& each) {
                    return context_.bundle().Same(peer, each);
                  })) {
    return base::OkStatus();
  }
  std::string wanted;
  for (const model::Identity& each : expected_) {
    base::StrAppend(&wanted, wanted.empty() ? "" : " or ", each.ToSpiffe());
  }
  return absl::UnauthenticatedError(base::StrCat(
      "identity ", peer.ToSpiffe(), " is not the expected ", wanted));
}

// For the client: a server selects from what it was offered, or does not
// answer the extension at all, which OpenSSL lets pass. The server's own
// choice is enforced in alpn.cc.
base::Status PeerCheck::CheckAlpn(const ssl_st* ssl) const {
  if (context_.role() == Role::kServer) return base::OkStatus();
  const unsigned char* data = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl, &data, &size);
  const std::string_view offered = OfferedAlpn(context_.options().alpn);
  if (base::AsText({data, size}) == offered) return base::OkStatus();
  return absl::UnavailableError(
      base::StrCat("negotiate ALPN: the peer did not select ", offered,
                   size == 0 ? "" : " but ", base::AsText({data, size})));
}

}  // namespace nodeward::tls
