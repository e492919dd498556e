// SPDX-License-Identifier: Apache-2.0
#include "pki/signer.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "base/handle.h"
#include "pki/openssl_error.h"
#include "pki/subject_name.h"

namespace nodeward::pki {
namespace {

constexpr size_t kMaxOrganization = 64;  // ub-organization-name
constexpr int kSerialBits = 128;

using Cert = base::Handle<X509, X509_free>;

bool SetSerial(X509* cert) {
  base::Handle<BIGNUM, BN_free> serial(BN_new());
  do {
    if (serial == nullptr || BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY,
                                     BN_RAND_BOTTOM_ANY) != 1) {
      return false;
    }
  } while (BN_is_zero(serial.get()));
  return BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(cert)) !=
         nullptr;
}

bool SetValidity(X509* cert, const Validity& validity) {
  return ASN1_TIME_set(X509_getm_notBefore(cert),
                       absl::ToTimeT(validity.not_before)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(cert),
                       absl::ToTimeT(validity.not_after)) != nullptr;
}

// `value` in OpenSSL's configuration syntax: constants only.
bool AddExtension(X509* cert, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension != nullptr && X509_add_ext(cert, extension.get(), -1) == 1;
}

// A root that an operator brought may have no key identifier to point to.
bool AddAuthorityKey(X509* cert, X509* issuer) {
  return X509_get0_subject_key_id(issuer) == nullptr ||
         AddExtension(cert, issuer, NID_authority_key_identifier, "keyid");
}

// The parts that roots and leaves have in common.
base::StatusOr<Cert> Start(EVP_PKEY* key, const Validity& validity) {
  Cert cert(X509_new());
  if (cert == nullptr || X509_set_version(cert.get(), X509_VERSION_3) != 1 ||
      !SetSerial(cert.get()) || !SetValidity(cert.get(), validity) ||
      X509_set_pubkey(cert.get(), key) != 1) {
    return OpenSslStatus("make certificate");
  }
  return cert;
}

}  // namespace

base::StatusOr<Root> MakeRoot(std::string_view trust_domain,
                              const Validity& validity) {
  NODEWARD_ASSIGN(PrivateKey key, PrivateKey::GenerateP256());
  NODEWARD_ASSIGN(Cert cert, Start(key.native(), validity));
  X509_NAME* name = X509_get_subject_name(cert.get());
  const size_t length = std::min(trust_domain.size(), kMaxOrganization);
  if (X509_NAME_add_entry_by_txt(
          name, "O", MBSTRING_UTF8,
          reinterpret_cast<const unsigned char*>(trust_domain.data()),
          static_cast<int>(length), -1, 0) != 1 ||
      X509_set_issuer_name(cert.get(), name) != 1 ||
      !AddExtension(cert.get(), cert.get(), NID_basic_constraints,
                    "critical,CA:TRUE") ||
      !AddExtension(cert.get(), cert.get(), NID_key_usage,
                    "critical,keyCertSign,cRLSign") ||
      !AddExtension(cert.get(), cert.get(), NID_subject_key_identifier,
                    "hash") ||
      X509_sign(cert.get(), key.native(), EVP_sha256()) == 0) {
    return OpenSslStatus("make root certificate");
  }
  return Root{Certificate::FromNative(cert.get()), std::move(key)};
}

base::Status CheckRoot(const Root& root) {
  X509* cert = root.certificate.native();
  if (!root.certificate.Matches(root.key)) {
    return absl::FailedPreconditionError(
        "the key and the certificate do not belong together");
  }
  NODEWARD_TRY(CheckKeyStrength(root.key.native()));
  const uint32_t flags = X509_get_extension_flags(cert);
  if ((flags & EXFLAG_CA) == 0 ||
      ((flags & EXFLAG_KUSAGE) != 0 &&
       (X509_get_key_usage(cert) & KU_KEY_CERT_SIGN) == 0)) {
    return absl::FailedPreconditionError(
        "the certificate is not a CA's (it lacks CA:TRUE or keyCertSign)");
  }
  const bool self_signed = X509_verify(cert, root.key.native()) == 1;
  ERR_clear_error();
  if (!self_signed) {
    return absl::FailedPreconditionError(
        "the certificate is not self-signed (a root is needed, not an "
        "intermediate)");
  }
  return base::OkStatus();
}

base::StatusOr<Certificate> SignLeaf(const Root& root, evp_pkey_st* key,
                                     const model::Identity& identity,
                                     const Validity& validity) {
  NODEWARD_ASSIGN(Cert cert, Start(key, validity));
  NODEWARD_ASSIGN(Extension name, SpiffeExtension(identity));
  X509* issuer = root.certificate.native();
  if (X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer)) != 1 ||
      !AddExtension(cert.get(), issuer, NID_key_usage,
                    "critical,digitalSignature,keyEncipherment") ||
      !AddExtension(cert.get(), issuer, NID_ext_key_usage,
                    "serverAuth,clientAuth") ||
      !AddExtension(cert.get(), issuer, NID_basic_constraints,
                    "critical,CA:FALSE") ||
      !AddExtension(cert.get(), issuer, NID_subject_key_identifier, "hash") ||
      !AddAuthorityKey(cert.get(), issuer) ||
      X509_add_ext(cert.get(), name.get(), -1) != 1 ||
      X509_sign(cert.get(), root.key.native(), EVP_sha256()) == 0) {
    return OpenSslStatus("sign certificate");
  }
  return Certificate::FromNative(cert.get());
}

}  // namespace nodeward::pki
