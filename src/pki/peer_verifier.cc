// SPDX-License-Identifier: Apache-2.0
#include "pki/peer_verifier.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "base/handle.h"
#include "base/text.h"
#include "pki/chain.h"
#include "pki/openssl_error.h"

namespace nodeward::pki {
namespace {

using StoreContext = base::Handle<X509_STORE_CTX, X509_STORE_CTX_free>;

constexpr int kMaxDepth = 6;
// Debian's default for TLS: 112 bits, so RSA from 2048 bits and no SHA-1.
constexpr int kSecurityLevel = 2;

// What the lists say of `cert`, which `issuer` has signed. Not left to OpenSSL:
// it takes the list that it likes best by the issuer's name, and roots that
// follow one another share a name.
base::Status CheckRevocation(const std::vector<RevocationList>& lists,
                             X509* cert, X509* issuer, bool required,
                             absl::Time now) {
  bool in_date = false;
  bool any = false;
  for (const RevocationList& list : lists) {
    if (X509_NAME_cmp(X509_CRL_get_issuer(list.native()),
                      X509_get_subject_name(issuer)) != 0 ||
        (X509_get_key_usage(issuer) & KU_CRL_SIGN) == 0) {
      continue;
    }
    const bool signed_by_it =
        X509_CRL_verify(list.native(), X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    if (!signed_by_it) continue;
    X509_REVOKED* entry = nullptr;
    if (X509_CRL_get0_by_cert(list.native(), &entry, cert) != 0) {
      return absl::UnauthenticatedError(
          base::StrCat("the certificate with the serial ",
                       Certificate::FromNative(cert).SerialHex(),
                       " was revoked by \"", list.Issuer(), "\""));
    }
    any = true;
    in_date = in_date || list.next_update() > now;
  }
  if (!required || in_date) return base::OkStatus();
  return absl::UnauthenticatedError(base::StrCat(
      "the revocation list of \"", Certificate::FromNative(issuer).Subject(),
      "\" is ", any ? "out of date" : "not there", ", and one is required"));
}

bool Contains(const std::vector<Certificate>& roots, const Certificate& root) {
  return std::any_of(roots.begin(), roots.end(), [&](const Certificate& each) {
    return X509_cmp(each.native(), root.native()) == 0;
  });
}

bool ContainsAll(const std::vector<Certificate>& roots,
                 const std::vector<Certificate>& wanted) {
  return std::all_of(
      wanted.begin(), wanted.end(),
      [&](const Certificate& each) { return Contains(roots, each); });
}

}  // namespace

base::StatusOr<std::shared_ptr<const PeerVerifier>> PeerVerifier::Create(
    std::shared_ptr<const TrustBundle> bundle) {
  std::shared_ptr<PeerVerifier> verifier(new PeerVerifier(std::move(bundle)));
  const TrustBundle& trusted = *verifier->bundle_;
  NODEWARD_TRY(verifier->AddStore(trusted.trust_domain, trusted.roots));
  for (const auto& [domain, roots] : trusted.federation) {
    NODEWARD_TRY(verifier->AddStore(domain, roots));
  }
  return verifier;
}

PeerVerifier::~PeerVerifier() {
  for (const auto& [domain, store] : stores_) X509_STORE_free(store);
}

base::Status PeerVerifier::AddStore(const std::string& domain,
                                    const std::vector<Certificate>& roots) {
  X509_STORE* store = X509_STORE_new();
  if (store == nullptr) return OpenSslStatus("make certificate store");
  stores_[domain] = store;
  NODEWARD_TRY(AddRoots(store, roots));
  return base::OkStatus();
}

base::Status PeerVerifier::CheckPath(const Presented& peer,
                                     const std::string& domain, bool dates,
                                     int* code) const {
  const auto store = stores_.find(domain);
  StoreContext context(X509_STORE_CTX_new());
  if (store == stores_.end() || context == nullptr ||
      X509_STORE_CTX_init(context.get(), store->second, peer.leaf,
                          peer.others) != 1) {
    *code = X509_V_ERR_UNSPECIFIED;
    return OpenSslStatus("verify certificate path");
  }
  X509_STORE_CTX_set_purpose(context.get(), peer.by_client
                                                ? X509_PURPOSE_SSL_CLIENT
                                                : X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_depth(param, kMaxDepth);
  X509_VERIFY_PARAM_set_auth_level(param, kSecurityLevel);
  if (!dates) X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME);
  const int verified = X509_verify_cert(context.get());
  ERR_clear_error();
  *code = X509_STORE_CTX_get_error(context.get());
  if (verified != 1) {
    if (*code == X509_V_OK) *code = X509_V_ERR_UNSPECIFIED;
    return ChainError(context.get());
  }
  if (bundle_->revocations.empty() && !bundle_->revocation_required) {
    return base::OkStatus();
  }
  // All but the anchor, for which the bundle itself vouches.
  STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i + 1 < sk_X509_num(chain); ++i) {
    *code = X509_V_ERR_CERT_REVOKED;
    NODEWARD_TRY(CheckRevocation(bundle_->revocations, sk_X509_value(chain, i),
                                 sk_X509_value(chain, i + 1),
                                 bundle_->revocation_required, absl::Now()));
  }
  *code = X509_V_OK;
  return base::OkStatus();
}

base::StatusOr<model::Identity> PeerVerifier::Judge(const Presented& peer,
                                                    bool dates,
                                                    int* code) const {
  const Certificate leaf = Certificate::FromNative(peer.leaf);
  const base::StatusOr<model::Identity> named = leaf.SpiffeId();
  // Without a name there is no foreign domain whose roots could vouch for it.
  const bool foreign = named.ok() && !bundle_->IsOurs(named->trust_domain);
  if (foreign && !bundle_->federation.contains(named->trust_domain)) {
    *code = X509_V_ERR_CERT_REJECTED;
    return absl::UnauthenticatedError(base::StrCat(
        "identity ", named->ToSpiffe(), " is of the trust domain ",
        named->trust_domain, ", which is neither ours (", bundle_->trust_domain,
        ") nor an alias of it, and not federated"));
  }
  NODEWARD_TRY(CheckPath(peer,
                         foreign ? named->trust_domain : bundle_->trust_domain,
                         dates, code));
  *code = X509_V_ERR_CERT_REJECTED;
  NODEWARD_TRY(CheckLeaf(leaf));
  if (!named.ok()) {
    return absl::UnauthenticatedError(named.status().message());
  }
  *code = X509_V_OK;
  return *named;
}

base::StatusOr<model::Identity> PeerVerifier::Verify(const Presented& peer,
                                                     int* code) const {
  return Judge(peer, /*dates=*/true, code);
}

base::Status PeerVerifier::CheckAgain(const Presented& peer) const {
  int code = X509_V_OK;
  return Judge(peer, /*dates=*/false, &code).status();
}

bool TakesTrustAway(const TrustBundle& before, const TrustBundle& after) {
  if (before.trust_domain != after.trust_domain ||
      before.aliases != after.aliases ||
      !ContainsAll(after.roots, before.roots) ||
      (after.revocation_required && !before.revocation_required)) {
    return true;
  }
  for (const auto& [domain, roots] : before.federation) {
    const auto still = after.federation.find(domain);
    if (still == after.federation.end() || !ContainsAll(still->second, roots)) {
      return true;
    }
  }
  return !std::equal(before.revocations.begin(), before.revocations.end(),
                     after.revocations.begin(), after.revocations.end(),
                     [](const RevocationList& a, const RevocationList& b) {
                       return a.Sha256Hex() == b.Sha256Hex();
                     });
}

}  // namespace nodeward::pki
