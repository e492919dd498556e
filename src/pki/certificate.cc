// SPDX-License-Identifier: Apache-2.0
#include "pki/certificate.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "base/handle.h"
#include "base/text.h"
#include "pki/openssl_error.h"
#include "pki/subject_name.h"

namespace nodeward::pki {
namespace {

using Bio = base::Handle<BIO, BIO_free_all>;

void FreeText(char* text) { OPENSSL_free(text); }

std::shared_ptr<X509> Own(X509* cert) {
  // Fills OpenSSL's cache of extensions now, so that threads sharing the
  // certificate only ever read it.
  X509_check_purpose(cert, -1, 0);
  ERR_clear_error();
  return std::shared_ptr<X509>(cert, X509_free);
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string NameLine(const X509_NAME* name) {
  Bio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  return Contents(bio.get());
}

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  // What does not parse is of no use at any time.
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTimeT(timegm(&parts));
}

bool AtEnd() {
  const unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM &&
         ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

}  // namespace

base::StatusOr<Certificate> Certificate::ParsePem(std::string_view pem) {
  NODEWARD_ASSIGN(std::vector<Certificate> all, ParsePemBundle(pem));
  if (all.size() != 1) {
    return absl::InvalidArgumentError(base::StrCat(
        "read certificate: ", all.size(), " certificates where one belongs"));
  }
  return std::move(all.front());
}

base::StatusOr<std::vector<Certificate>> Certificate::ParsePemBundle(
    std::string_view pem) {
  ERR_clear_error();
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<Certificate> all;
  while (X509* cert = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    all.push_back(Certificate(Own(cert)));
  }
  if (!AtEnd()) {
    return OpenSslStatus(
        base::StrCat("read certificate ", all.size() + 1, " (PEM)"),
        absl::StatusCode::kInvalidArgument);
  }
  ERR_clear_error();
  if (all.empty()) {
    return absl::InvalidArgumentError(
        "read certificate (PEM): no BEGIN CERTIFICATE in it");
  }
  return all;
}

Certificate Certificate::FromNative(x509_st* native) {
  X509_up_ref(native);
  return Certificate(Own(native));
}

std::string Certificate::ToPem() const {
  Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), native());
  return Contents(bio.get());
}

std::string Certificate::ToText() const {
  Bio bio(BIO_new(BIO_s_mem()));
  X509_print(bio.get(), native());
  return Contents(bio.get());
}

std::string Certificate::SerialHex() const {
  base::Handle<BIGNUM, BN_free> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(native()), nullptr));
  base::Handle<char, FreeText> text(BN_bn2hex(number.get()));
  return text == nullptr ? "" : text.get();
}

absl::Time Certificate::not_before() const {
  return ToTime(X509_get0_notBefore(native()));
}

absl::Time Certificate::not_after() const {
  return ToTime(X509_get0_notAfter(native()));
}

std::string Certificate::Issuer() const {
  return NameLine(X509_get_issuer_name(native()));
}

std::string Certificate::Subject() const {
  return NameLine(X509_get_subject_name(native()));
}

base::StatusOr<model::Identity> Certificate::SpiffeId() const {
  int critical = -1;
  GeneralNames names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(native(), NID_subject_alt_name, &critical, nullptr)));
  if (names == nullptr && critical == -2) {
    return absl::InvalidArgumentError(
        "read SPIFFE ID: the alternative names occur twice");
  }
  ERR_clear_error();
  return OneSpiffeId(names.get());
}

std::string Certificate::Sha256Hex() const {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(native(), EVP_sha256(), digest, &size) != 1) return "";
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text.push_back(kHex[digest[i] >> 4]);
    text.push_back(kHex[digest[i] & 15]);
  }
  return text;
}

base::Status Certificate::CheckAlgorithms() const {
  const EVP_PKEY* key = X509_get0_pubkey(native());
  if (key == nullptr) {
    return OpenSslStatus("read the certificate's key",
                         absl::StatusCode::kInvalidArgument);
  }
  NODEWARD_TRY(CheckKeyStrength(key));
  constexpr int kBits = 112;  // half of what SHA-224 gives; SHA-1 has 63
  int digest = NID_undef;
  int bits = 0;
  if (X509_get_signature_info(native(), &digest, nullptr, &bits, nullptr) !=
          1 ||
      bits < kBits) {
    ERR_clear_error();
    return absl::InvalidArgumentError(base::StrCat(
        "the certificate is signed with ",
        digest == NID_undef ? "an unknown digest" : OBJ_nid2sn(digest),
        " (use SHA-256 or stronger)"));
  }
  return base::OkStatus();
}

bool Certificate::SignedBy(const Certificate& issuer) const {
  const bool is = X509_check_issued(issuer.native(), native()) == X509_V_OK &&
                  X509_verify(native(), X509_get0_pubkey(issuer.native())) == 1;
  ERR_clear_error();
  return is;
}

bool Certificate::Matches(const PrivateKey& key) const {
  const bool equal = EVP_PKEY_eq(X509_get0_pubkey(native()), key.native()) == 1;
  ERR_clear_error();
  return equal;
}

}  // namespace nodeward::pki
