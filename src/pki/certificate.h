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
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "model/identity.h"
#include "pki/key.h"

struct x509_st;

namespace nodeward::pki {

// An immutable certificate, shared by reference.
class Certificate {
 public:
  // Exactly one certificate.
  static base::StatusOr<Certificate> ParsePem(std::string_view pem);
  // One or more, in the order of the text; one that is broken fails them all.
  static base::StatusOr<std::vector<Certificate>> ParsePemBundle(
      std::string_view pem);
  // Takes a reference of its own on `native`.
  static Certificate FromNative(x509_st* native);

  std::string ToPem() const;
  std::string ToText() const;     // as openssl x509 -text
  std::string SerialHex() const;  // upper case, as openssl x509 -serial
  absl::Time not_before() const;
  absl::Time not_after() const;
  std::string Issuer() const;  // one line, RFC 2253
  std::string Subject() const;
  // The one SPIFFE URI SAN. An error when there is no URI SAN, more than one
  // (X.509-SVID section 2), or one that does not parse.
  base::StatusOr<model::Identity> SpiffeId() const;
  std::string Sha256Hex() const;  // of the DER form
  // OK for keys that CheckKeyStrength takes and signatures by SHA-256 or
  // stronger; else what is weak.
  base::Status CheckAlgorithms() const;
  // Whether `issuer` has signed this one.
  bool SignedBy(const Certificate& issuer) const;
  // Whether `key` is the private half of this certificate's public key.
  bool Matches(const PrivateKey& key) const;
  x509_st* native() const { return cert_.get(); }

 private:
  explicit Certificate(std::shared_ptr<x509_st> cert)
      : cert_(std::move(cert)) {}
  std::shared_ptr<x509_st> cert_;
};

}  // namespace nodeward::pki
