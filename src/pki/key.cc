// SPDX-License-Identifier: Apache-2.0
#include "pki/key.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include <ostream>
#include <utility>

#include "base/handle.h"
#include "base/text.h"
#include "pki/key_memory.h"
#include "pki/openssl_error.h"

namespace nodeward::pki {
namespace {

constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;  // beyond, one check costs milliseconds

using Bio = base::Handle<BIO, BIO_free_all>;

// Without it OpenSSL would ask for a passphrase on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

base::Status CheckCurve(const EVP_PKEY* key) {
  char encoding[32] = "";
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, encoding,
                                     sizeof(encoding), nullptr) == 1 &&
      std::string_view(encoding) != OSSL_PKEY_EC_ENCODING_GROUP) {
    return absl::InvalidArgumentError(
        "check key: the curve is spelt out instead of named");
  }
  char group[64] = "";
  if (EVP_PKEY_get_group_name(key, group, sizeof(group), nullptr) != 1) {
    return OpenSslStatus("read the key's curve",
                         absl::StatusCode::kInvalidArgument);
  }
  const int curve = OBJ_sn2nid(group);
  if (curve != NID_X9_62_prime256v1 && curve != NID_secp384r1) {
    return absl::InvalidArgumentError(base::StrCat(
        "check key: curve ", group, " is not accepted (use P-256 or P-384)"));
  }
  return base::OkStatus();
}

}  // namespace

base::StatusOr<PrivateKey> PrivateKey::GenerateP256() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  BurnStack();  // the scalar was multiplied on it
  if (key == nullptr) return OpenSslStatus("make P-256 key");
  return PrivateKey(key);
}

base::StatusOr<PrivateKey> PrivateKey::ParsePem(std::string_view pem) {
  ERR_clear_error();
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  EVP_PKEY* raw =
      PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr);
  if (raw == nullptr) {
    if (pem.find("ENCRYPTED") != std::string_view::npos) {
      ERR_clear_error();
      return absl::InvalidArgumentError(
          "read private key: it is encrypted (store it without a passphrase)");
    }
    return OpenSslStatus("read private key (PEM)",
                         absl::StatusCode::kInvalidArgument);
  }
  PrivateKey key(raw);
  NODEWARD_TRY(CheckKeyStrength(raw));
  return key;
}

base::StatusOr<std::string> PrivateKey::ToPem() const {
  Bio bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key_, nullptr, nullptr, 0,
                                    nullptr, nullptr) != 1) {
    return OpenSslStatus("encode private key");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

PrivateKey::PrivateKey(PrivateKey&& other) noexcept
    : key_(std::exchange(other.key_, nullptr)) {}

PrivateKey& PrivateKey::operator=(PrivateKey&& other) noexcept {
  if (this != &other) {
    EVP_PKEY_free(key_);
    key_ = std::exchange(other.key_, nullptr);
  }
  return *this;
}

// The last reference gone, OpenSSL cleanses the number (BN_clear_free).
PrivateKey::~PrivateKey() { EVP_PKEY_free(key_); }

std::ostream& operator<<(std::ostream& out, const PrivateKey&) {
  return out << "[key]";
}

base::Status CheckKeyStrength(const evp_pkey_st* key) {
  if (EVP_PKEY_is_a(key, "EC") == 1) return CheckCurve(key);
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    const int bits = EVP_PKEY_get_bits(key);
    if (bits >= kMinRsaBits && bits <= kMaxRsaBits) return base::OkStatus();
    return absl::InvalidArgumentError(
        base::StrCat("check key: RSA of ", bits, " bits is not accepted (use ",
                     kMinRsaBits, " to ", kMaxRsaBits, ")"));
  }
  const char* type = EVP_PKEY_get0_type_name(key);
  return absl::InvalidArgumentError(base::StrCat(
      "check key: a key of type ", type == nullptr ? "?" : type,
      " is not accepted (use EC P-256, EC P-384 or RSA",
      EVP_PKEY_is_a(key, "ED25519") == 1 ? "; Envoy and ztunnel refuse Ed25519"
                                         : "",
      ")"));
}

void Wipe(std::string* text) {
  OPENSSL_cleanse(text->data(), text->size());
  text->clear();
}

}  // namespace nodeward::pki
