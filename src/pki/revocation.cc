// SPDX-License-Identifier: Apache-2.0
#include "pki/revocation.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>

#include "base/handle.h"
#include "base/text.h"
#include "pki/openssl_error.h"

namespace nodeward::pki {
namespace {

using Bio = base::Handle<BIO, BIO_free_all>;

bool AtEnd() {
  const unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM &&
         ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

}  // namespace

base::StatusOr<std::vector<RevocationList>> RevocationList::ParsePemBundle(
    std::string_view pem) {
  ERR_clear_error();
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<RevocationList> all;
  while (X509_CRL* list =
             PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)) {
    all.push_back(
        RevocationList(std::shared_ptr<X509_CRL>(list, X509_CRL_free)));
    if (X509_CRL_get_ext_by_critical(list, 1, -1) >= 0) {
      return absl::InvalidArgumentError(base::StrCat(
          "read revocation list ", all.size(),
          ": an indirect, partial or delta list, which are not understood"));
    }
  }
  if (!AtEnd()) {
    return OpenSslStatus(
        base::StrCat("read revocation list ", all.size() + 1, " (PEM)"),
        absl::StatusCode::kInvalidArgument);
  }
  ERR_clear_error();
  if (all.empty()) {
    return absl::InvalidArgumentError(
        "read revocation list (PEM): no BEGIN X509 CRL in it");
  }
  return all;
}

std::string RevocationList::Issuer() const {
  Bio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_CRL_get_issuer(native()), 0,
                     XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

absl::Time RevocationList::next_update() const {
  const ASN1_TIME* time = X509_CRL_get0_nextUpdate(native());
  if (time == nullptr) return absl::InfiniteFuture();
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTimeT(timegm(&parts));
}

std::string RevocationList::Sha256Hex() const {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_CRL_digest(native(), EVP_sha256(), digest, &size) != 1) return "";
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text.push_back(kHex[digest[i] >> 4]);
    text.push_back(kHex[digest[i] & 15]);
  }
  return text;
}

}  // namespace nodeward::pki
