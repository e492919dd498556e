// SPDX-License-Identifier: Apache-2.0
#include "pki/csr.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/handle.h"
#include "base/text.h"
#include "pki/openssl_error.h"
#include "pki/subject_name.h"

namespace nodeward::pki {
namespace {

constexpr size_t kMaxCsr = 64 * 1024;

using Bio = base::Handle<BIO, BIO_free_all>;
using Request = base::Handle<X509_REQ, X509_REQ_free>;

void FreeExtensions(STACK_OF(X509_EXTENSION) * list) {
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}
using Extensions = base::Handle<STACK_OF(X509_EXTENSION), FreeExtensions>;

}  // namespace

base::StatusOr<std::string> MakeCsr(const PrivateKey& key,
                                    const model::Identity& identity) {
  NODEWARD_ASSIGN(Extension name, SpiffeExtension(identity));
  Request request(X509_REQ_new());
  Extensions extensions(sk_X509_EXTENSION_new_null());
  if (request == nullptr || extensions == nullptr ||
      sk_X509_EXTENSION_push(extensions.get(), name.get()) == 0) {
    return OpenSslStatus("make CSR");
  }
  (void)name.release();  // the stack's now
  Bio bio(BIO_new(BIO_s_mem()));
  if (X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.native()) != 1 ||
      X509_REQ_add_extensions(request.get(), extensions.get()) != 1 ||
      X509_REQ_sign(request.get(), key.native(), EVP_sha256()) == 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return OpenSslStatus("make CSR");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

base::StatusOr<Csr> Csr::ParsePem(std::string_view pem) {
  if (pem.size() > kMaxCsr) {
    return absl::InvalidArgumentError(
        base::StrCat("read CSR: ", pem.size(), " bytes is too large"));
  }
  ERR_clear_error();
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::shared_ptr<X509_REQ> request(
      PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr),
      X509_REQ_free);
  if (request == nullptr) {
    return OpenSslStatus("read CSR (PEM)", absl::StatusCode::kInvalidArgument);
  }
  if (Request second(
          PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
      second != nullptr) {
    return absl::InvalidArgumentError("read CSR: more than one in the text");
  }
  ERR_clear_error();
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr) {
    return OpenSslStatus("read the CSR's key",
                         absl::StatusCode::kInvalidArgument);
  }
  // Before the signature: a huge RSA key makes checking it expensive.
  NODEWARD_TRY(CheckKeyStrength(key));
  if (X509_REQ_verify(request.get(), key) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(
        "check CSR: its signature is not by its own key");
  }
  return Csr(std::move(request));
}

base::StatusOr<model::Identity> Csr::SpiffeId() const {
  Extensions extensions(X509_REQ_get_extensions(request_.get()));
  GeneralNames names(static_cast<GENERAL_NAMES*>(X509V3_get_d2i(
      extensions.get(), NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  if (sk_GENERAL_NAME_num(names.get()) > 1) {
    return absl::InvalidArgumentError(
        "check CSR: it asks for more than one alternative name");
  }
  return OneSpiffeId(names.get());
}

evp_pkey_st* Csr::public_key() const {
  return X509_REQ_get0_pubkey(request_.get());
}

}  // namespace nodeward::pki
