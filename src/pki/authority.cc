// SPDX-License-Identifier: Apache-2.0
#include "pki/authority.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "base/handle.h"
#include "base/text.h"
#include "pki/chain.h"
#include "pki/openssl_error.h"

namespace nodeward::pki {
namespace {

// 112 bits: no SHA-1 or MD5 signature, no RSA below 2048 bits on the path.
constexpr int kSecurityLevel = 2;
constexpr absl::Duration kProbeLife = absl::Seconds(1);

using Store = base::Handle<X509_STORE, X509_STORE_free>;
using StoreContext = base::Handle<X509_STORE_CTX, X509_STORE_CTX_free>;

void FreeStack(STACK_OF(X509) * stack) { sk_X509_free(stack); }
using Stack = base::Handle<STACK_OF(X509), FreeStack>;

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

// identity.md-style words, which operators know from linkerd check.
base::Status CheckDates(const Certificate& signer, absl::Time now) {
  if (now < signer.not_before()) {
    return absl::FailedPreconditionError(base::StrCat(
        "issuer certificate is not valid before: ", Utc(signer.not_before()),
        " (do the clocks agree?)"));
  }
  if (now >= signer.not_after()) {
    return absl::FailedPreconditionError(
        base::StrCat("issuer certificate not valid anymore. Expired on ",
                     Utc(signer.not_after())));
  }
  return base::OkStatus();
}

bool Holds(const std::vector<Certificate>& all, const Certificate& one) {
  return std::any_of(all.begin(), all.end(), [&one](const Certificate& other) {
    return X509_cmp(other.native(), one.native()) == 0;
  });
}

bool Equal(const std::vector<Certificate>& a,
           const std::vector<Certificate>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Certificate& x, const Certificate& y) {
                      return X509_cmp(x.native(), y.native()) == 0;
                    });
}

}  // namespace

base::StatusOr<std::shared_ptr<const Authority>> Authority::Create(
    AuthorityParts parts, std::string_view trust_domain, absl::Time now) {
  NODEWARD_TRY(CheckKeyStrength(parts.key.native()));
  const auto match =
      std::find_if(parts.certificates.begin(), parts.certificates.end(),
                   [&parts](const Certificate& certificate) {
                     return certificate.Matches(parts.key);
                   });
  if (match == parts.certificates.end()) {
    return absl::FailedPreconditionError(
        "the key and the certificate do not belong together");
  }
  const Certificate signer = *match;
  if (!MaySign(signer)) {
    return absl::FailedPreconditionError(
        "the certificate is not a CA's (it lacks CA:TRUE or keyCertSign)");
  }
  NODEWARD_TRY(CheckDates(signer, now));
  if (parts.roots.empty()) {
    return absl::FailedPreconditionError(
        "no root that the issuer leads to (add ca.crt, or name a bundle)");
  }
  std::shared_ptr<Authority> made(new Authority(std::move(parts), signer));
  NODEWARD_TRY(made->FindPath(trust_domain, now));
  return std::shared_ptr<const Authority>(std::move(made));
}

Authority::Authority(AuthorityParts parts, Certificate signer)
    : signer_(std::move(signer)),
      key_(std::move(parts.key)),
      between_(std::move(parts.certificates)),
      roots_(std::move(parts.roots)),
      source_(std::move(parts.source)),
      warnings_(std::move(parts.warnings)) {}

// Signs a leaf and looks at it as peers would. Whatever on the path forbids
// leaves (a path length, constraints of names or of purpose) shows only so.
base::Status Authority::FindPath(std::string_view trust_domain,
                                 absl::Time now) {
  NODEWARD_ASSIGN(const PrivateKey key, PrivateKey::GenerateP256());
  NODEWARD_ASSIGN(const Certificate probe,
                  SignLeaf(signer_, key_, key.native(),
                           {std::string(trust_domain), "probe", "probe"},
                           {.not_before = now - kProbeLife,
                            .not_after = now + kProbeLife}));
  NODEWARD_TRY(Verify(probe, X509_PURPOSE_SSL_CLIENT, now).status());
  NODEWARD_ASSIGN(const std::vector<Certificate> path,
                  Verify(probe, X509_PURPOSE_SSL_SERVER, now));
  between_.clear();
  not_after_ = absl::InfiniteFuture();
  for (size_t i = 1; i < path.size(); ++i) {
    not_after_ = std::min(not_after_, path[i].not_after());
    if (!Holds(roots_, path[i])) between_.push_back(path[i]);
  }
  return base::OkStatus();
}

// The path from `probe` to a root, both included.
base::StatusOr<std::vector<Certificate>> Authority::Verify(
    const Certificate& probe, int purpose, absl::Time now) const {
  Store store(X509_STORE_new());
  StoreContext context(X509_STORE_CTX_new());
  Stack others(sk_X509_new_null());
  if (store == nullptr || context == nullptr || others == nullptr) {
    return OpenSslStatus("verify issuer");
  }
  NODEWARD_TRY(AddRoots(store.get(), roots_));
  for (const Certificate& certificate : between_) {
    sk_X509_push(others.get(), certificate.native());
  }
  if (X509_STORE_CTX_init(context.get(), store.get(), probe.native(),
                          others.get()) != 1) {
    return OpenSslStatus("verify issuer");
  }
  X509_STORE_CTX_set_time(context.get(), 0, absl::ToTimeT(now));
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(context.get()),
                                   kSecurityLevel);
  const int verified = X509_verify_cert(context.get());
  ERR_clear_error();
  if (verified != 1) {
    return absl::FailedPreconditionError(
        base::StrCat("issuer cert is not issued by the trust anchor: ",
                     std::string(ChainError(context.get()).message())));
  }
  std::vector<Certificate> path;
  STACK_OF(X509)* found = X509_STORE_CTX_get0_chain(context.get());
  path.reserve(static_cast<size_t>(std::max(sk_X509_num(found), 0)));
  for (int i = 0; i < sk_X509_num(found); ++i) {
    path.push_back(Certificate::FromNative(sk_X509_value(found, i)));
  }
  return path;
}

base::StatusOr<Validity> Authority::Clamp(const Validity& asked,
                                          absl::Time now) const {
  if (now >= not_after_) {
    return absl::FailedPreconditionError(
        base::StrCat("the issuer's chain expired on ", Utc(not_after_)));
  }
  return Validity{.not_before = asked.not_before,
                  .not_after = std::min(asked.not_after, not_after_)};
}

base::StatusOr<Issued> Authority::Issue(const model::Identity& identity,
                                        evp_pkey_st* key,
                                        const Validity& validity,
                                        absl::Time now) const {
  NODEWARD_ASSIGN(const Validity clamped, Clamp(validity, now));
  NODEWARD_ASSIGN(Certificate leaf,
                  SignLeaf(signer_, key_, key, identity, clamped));
  Issued issued{.chain = {std::move(leaf)}, .roots = roots_};
  issued.chain.insert(issued.chain.end(), between_.begin(), between_.end());
  return issued;
}

base::StatusOr<Issued> Authority::IssueServer(const ServerNames& names,
                                              evp_pkey_st* key,
                                              const Validity& validity,
                                              absl::Time now) const {
  NODEWARD_ASSIGN(const Validity clamped, Clamp(validity, now));
  NODEWARD_ASSIGN(Certificate leaf,
                  SignServer(signer_, key_, key, names, clamped));
  Issued issued{.chain = {std::move(leaf)}, .roots = roots_};
  issued.chain.insert(issued.chain.end(), between_.begin(), between_.end());
  return issued;
}

bool Authority::SameAs(const Authority& other) const {
  return X509_cmp(signer_.native(), other.signer_.native()) == 0 &&
         Equal(between_, other.between_) && Equal(roots_, other.roots_);
}

}  // namespace nodeward::pki
