// SPDX-License-Identifier: Apache-2.0
#include "pki/chain.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <string>

#include "base/handle.h"
#include "base/text.h"
#include "pki/openssl_error.h"

namespace nodeward::pki {
namespace {

using Store = base::Handle<X509_STORE, X509_STORE_free>;
using StoreContext = base::Handle<X509_STORE_CTX, X509_STORE_CTX_free>;

void FreeStack(STACK_OF(X509) * stack) { sk_X509_free(stack); }
using Stack = base::Handle<STACK_OF(X509), FreeStack>;

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

base::Status VerifyPath(const Issued& issued, absl::Time now) {
  Store store(X509_STORE_new());
  StoreContext context(X509_STORE_CTX_new());
  Stack between(sk_X509_new_null());
  if (store == nullptr || context == nullptr || between == nullptr) {
    return OpenSslStatus("verify chain");
  }
  NODEWARD_TRY(AddRoots(store.get(), issued.roots));
  for (size_t i = 1; i < issued.chain.size(); ++i) {
    sk_X509_push(between.get(), issued.chain[i].native());
  }
  if (X509_STORE_CTX_init(context.get(), store.get(),
                          issued.chain.front().native(), between.get()) != 1) {
    return OpenSslStatus("verify chain");
  }
  X509_STORE_CTX_set_time(context.get(), 0, absl::ToTimeT(now));
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT);
  const int verified = X509_verify_cert(context.get());
  ERR_clear_error();
  return verified == 1 ? base::OkStatus() : ChainError(context.get());
}

}  // namespace

base::Status AddRoots(x509_store_st* store,
                      const std::vector<Certificate>& roots) {
  for (const Certificate& root : roots) {
    if (X509_STORE_add_cert(store, root.native()) != 1) {
      return OpenSslStatus("add root");
    }
  }
  // A root is whatever the bundle says, self-signed or not (RFC 5280 6.1).
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  return base::OkStatus();
}

base::Status ChainError(x509_store_ctx_st* context) {
  const int error = X509_STORE_CTX_get_error(context);
  X509* native = X509_STORE_CTX_get_current_cert(context);
  std::string cause;
  if (native == nullptr) {
    cause = X509_verify_cert_error_string(error);
  } else {
    const Certificate cert = Certificate::FromNative(native);
    switch (error) {
      case X509_V_ERR_CERT_HAS_EXPIRED:
        cause = base::StrCat("expired on ", Utc(cert.not_after()));
        break;
      case X509_V_ERR_CERT_NOT_YET_VALID:
        cause = base::StrCat("not valid before ", Utc(cert.not_before()),
                             " (do the clocks agree?)");
        break;
      case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
      case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
      case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        cause = base::StrCat("signed by \"", cert.Issuer(),
                             "\", which is not among the trusted roots");
        break;
      default:
        cause = X509_verify_cert_error_string(error);
    }
    if (X509_STORE_CTX_get_error_depth(context) > 0) {
      base::StrAppend(&cause, " (the certificate of the CA \"", cert.Subject(),
                      "\")");
    }
  }
  return absl::UnauthenticatedError(cause);
}

base::Status CheckLeaf(const Certificate& leaf) {
  const uint32_t flags = X509_get_extension_flags(leaf.native());
  if ((flags & EXFLAG_CA) != 0) {
    return absl::UnauthenticatedError("a CA's certificate, not a workload's");
  }
  if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(leaf.native()) &
                                       (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0) {
    return absl::UnauthenticatedError(
        "its key usage lets it sign certificates, which a workload may not");
  }
  return base::OkStatus();
}

base::Status CheckIssued(const Issued& issued, const model::Identity& identity,
                         const PrivateKey& key, absl::Time now) {
  if (issued.chain.empty() || issued.roots.empty()) {
    return absl::InvalidArgumentError(
        "check issued certificate: the CA sent no certificate or no root");
  }
  const Certificate& leaf = issued.chain.front();
  if (!leaf.Matches(key)) {
    return absl::InvalidArgumentError(
        "check issued certificate: it is for another key than the one sent");
  }
  NODEWARD_ASSIGN(const model::Identity named, leaf.SpiffeId());
  if (named != identity) {
    return absl::InvalidArgumentError(
        base::StrCat("check issued certificate: it is for ", named.ToSpiffe(),
                     " where ", identity.ToSpiffe(), " was asked for"));
  }
  base::Status usable = CheckLeaf(leaf);
  if (usable.ok()) usable = VerifyPath(issued, now);
  return base::Annotate(usable, "check issued certificate");
}

}  // namespace nodeward::pki
