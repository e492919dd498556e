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

constexpr size_t kMaxName = 64;  // ub-organization-name, ub-common-name
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

bool AddName(X509_NAME* name, const char* field, std::string_view value) {
  const size_t length = std::min(value.size(), kMaxName);
  return X509_NAME_add_entry_by_txt(
             name, field, MBSTRING_UTF8,
             reinterpret_cast<const unsigned char*>(value.data()),
             static_cast<int>(length), -1, 0) == 1;
}

bool AddAuthorityExtensions(X509* cert, X509* issuer, const char* constraints) {
  return AddExtension(cert, issuer, NID_basic_constraints, constraints) &&
         AddExtension(cert, issuer, NID_key_usage,
                      "critical,keyCertSign,cRLSign") &&
         AddExtension(cert, issuer, NID_subject_key_identifier, "hash");
}

// What a certificate of an end entity is for.
struct End {
  X509_EXTENSION* names;
  const char* purposes;
};

base::StatusOr<Certificate> SignEnd(const Certificate& issuer_certificate,
                                    const PrivateKey& issuer_key, EVP_PKEY* key,
                                    const End& end, const Validity& validity) {
  NODEWARD_ASSIGN(Cert cert, Start(key, validity));
  X509* issuer = issuer_certificate.native();
  if (X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer)) != 1 ||
      !AddExtension(cert.get(), issuer, NID_key_usage,
                    "critical,digitalSignature,keyEncipherment") ||
      !AddExtension(cert.get(), issuer, NID_ext_key_usage, end.purposes) ||
      !AddExtension(cert.get(), issuer, NID_basic_constraints,
                    "critical,CA:FALSE") ||
      !AddExtension(cert.get(), issuer, NID_subject_key_identifier, "hash") ||
      !AddAuthorityKey(cert.get(), issuer) ||
      X509_add_ext(cert.get(), end.names, -1) != 1 ||
      X509_sign(cert.get(), issuer_key.native(), EVP_sha256()) == 0) {
    return OpenSslStatus("sign certificate");
  }
  return Certificate::FromNative(cert.get());
}

}  // namespace

base::StatusOr<Root> MakeRoot(std::string_view trust_domain,
                              const Validity& validity) {
  NODEWARD_ASSIGN(PrivateKey key, PrivateKey::GenerateP256());
  NODEWARD_ASSIGN(Cert cert, Start(key.native(), validity));
  X509_NAME* name = X509_get_subject_name(cert.get());
  if (!AddName(name, "O", trust_domain) ||
      X509_set_issuer_name(cert.get(), name) != 1 ||
      !AddAuthorityExtensions(cert.get(), cert.get(), "critical,CA:TRUE") ||
      X509_sign(cert.get(), key.native(), EVP_sha256()) == 0) {
    return OpenSslStatus("make root certificate");
  }
  return Root{Certificate::FromNative(cert.get()), std::move(key)};
}

base::StatusOr<Root> MakeIntermediate(const Root& root,
                                      std::string_view trust_domain,
                                      std::string_view common_name,
                                      const Validity& validity) {
  NODEWARD_ASSIGN(PrivateKey key, PrivateKey::GenerateP256());
  NODEWARD_ASSIGN(Cert cert, Start(key.native(), validity));
  X509* issuer = root.certificate.native();
  X509_NAME* name = X509_get_subject_name(cert.get());
  if (!AddName(name, "O", trust_domain) || !AddName(name, "CN", common_name) ||
      X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer)) != 1 ||
      !AddAuthorityExtensions(cert.get(), issuer,
                              "critical,CA:TRUE,pathlen:0") ||
      !AddAuthorityKey(cert.get(), issuer) ||
      X509_sign(cert.get(), root.key.native(), EVP_sha256()) == 0) {
    return OpenSslStatus("make intermediate certificate");
  }
  return Root{Certificate::FromNative(cert.get()), std::move(key)};
}

bool MaySign(const Certificate& certificate) {
  X509* cert = certificate.native();
  const uint32_t flags = X509_get_extension_flags(cert);
  return (flags & EXFLAG_CA) != 0 &&
         ((flags & EXFLAG_KUSAGE) == 0 ||
          (X509_get_key_usage(cert) & KU_KEY_CERT_SIGN) != 0);
}

bool IsSelfSigned(const Certificate& certificate) {
  X509* cert = certificate.native();
  const bool own = X509_verify(cert, X509_get0_pubkey(cert)) == 1;
  ERR_clear_error();
  return own;
}

base::Status CheckRoot(const Root& root) {
  if (!root.certificate.Matches(root.key)) {
    return absl::FailedPreconditionError(
        "the key and the certificate do not belong together");
  }
  NODEWARD_TRY(CheckKeyStrength(root.key.native()));
  if (!MaySign(root.certificate)) {
    return absl::FailedPreconditionError(
        "the certificate is not a CA's (it lacks CA:TRUE or keyCertSign)");
  }
  if (!IsSelfSigned(root.certificate)) {
    return absl::FailedPreconditionError(
        "the certificate is not self-signed (a root is needed, not an "
        "intermediate)");
  }
  return base::OkStatus();
}

base::StatusOr<Certificate> SignLeaf(const Root& root, evp_pkey_st* key,
                                     const model::Identity& identity,
                                     const Validity& validity) {
  return SignLeaf(root.certificate, root.key, key, identity, validity);
}

base::StatusOr<Certificate> SignLeaf(const Certificate& issuer,
                                     const PrivateKey& issuer_key,
                                     evp_pkey_st* key,
                                     const model::Identity& identity,
                                     const Validity& validity) {
  NODEWARD_ASSIGN(const Extension name, SpiffeExtension(identity));
  return SignEnd(issuer, issuer_key, key,
                 {.names = name.get(), .purposes = "serverAuth,clientAuth"},
                 validity);
}

base::StatusOr<Certificate> SignServer(const Certificate& issuer,
                                       const PrivateKey& issuer_key,
                                       evp_pkey_st* key,
                                       const ServerNames& names,
                                       const Validity& validity) {
  NODEWARD_ASSIGN(const Extension extension,
                  ServerExtension(names.dns, names.addresses));
  return SignEnd(issuer, issuer_key, key,
                 {.names = extension.get(), .purposes = "serverAuth"},
                 validity);
}

}  // namespace nodeward::pki
