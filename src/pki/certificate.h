// SPDX-License-Identifier: Apache-2.0
//
// pki: X.509 as values. Keys, certificates, bundles, the embedded CA, and the
// store of credentials that the data path reads. OpenSSL only in here and in
// tls. No sockets. Private keys are never copied, printed or written by anybody
// but the CA for its own root.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "model/identity.h"

struct x509_st;
struct evp_pkey_st;
struct x509_store_st;

namespace nodeward::pki {

// An immutable certificate, shared by reference.
class Certificate {
 public:
  static base::StatusOr<Certificate> ParsePem(std::string_view pem);
  static base::StatusOr<std::vector<Certificate>> ParsePemBundle(
      std::string_view pem);
  // Takes a reference of its own on `native`.
  static Certificate FromNative(x509_st* native);

  std::string ToPem() const;
  std::string SerialHex() const;
  absl::Time not_before() const;
  absl::Time not_after() const;
  std::string Issuer() const;   // one line, RFC 2253
  std::string Subject() const;
  // The one SPIFFE URI SAN. An error when there is no URI SAN, more than one
  // (X.509-SVID section 2), or one that does not parse.
  base::StatusOr<model::Identity> SpiffeId() const;
  std::string Sha256Hex() const;  // of the DER form
  x509_st* native() const { return cert_.get(); }

 private:
  std::shared_ptr<x509_st> cert_;
};

// A private key. Not copyable; wiped when destroyed; prints as "[key]".
class PrivateKey {
 public:
  static base::StatusOr<PrivateKey> GenerateP256();
  static base::StatusOr<PrivateKey> ParsePem(std::string_view pem);
  // For the CA's own root file only.
  base::StatusOr<std::string> ToPem() const;
  PrivateKey(PrivateKey&&) noexcept;
  PrivateKey& operator=(PrivateKey&&) noexcept;
  PrivateKey(const PrivateKey&) = delete;
  PrivateKey& operator=(const PrivateKey&) = delete;
  ~PrivateKey();
  evp_pkey_st* native() const { return key_; }

 private:
  PrivateKey() = default;
  evp_pkey_st* key_ = nullptr;
};

// A certificate signing request in PEM with an empty subject and the SPIFFE ID
// as its one, critical, URI SAN, signed by `key`.
base::StatusOr<std::string> MakeCsr(const PrivateKey& key,
                                    const model::Identity& identity);

}  // namespace nodeward::pki
