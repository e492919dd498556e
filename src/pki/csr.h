// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/identity.h"
#include "pki/key.h"

struct X509_req_st;

namespace nodeward::pki {

// A certificate signing request in PEM with an empty subject and the SPIFFE ID
// as its one, critical, URI SAN, signed by `key`.
base::StatusOr<std::string> MakeCsr(const PrivateKey& key,
                                    const model::Identity& identity);

// A request as the CA reads it. Immutable.
class Csr {
 public:
  // Exactly one request of at most 64 KB, whose own signature is right (its
  // sender holds the key) and whose key CheckKeyStrength takes.
  static base::StatusOr<Csr> ParsePem(std::string_view pem);

  // The SPIFFE ID, which must be the only subject alternative name.
  base::StatusOr<model::Identity> SpiffeId() const;
  evp_pkey_st* public_key() const;
  X509_req_st* native() const { return request_.get(); }

 private:
  explicit Csr(std::shared_ptr<X509_req_st> request)
      : request_(std::move(request)) {}
  std::shared_ptr<X509_req_st> request_;
};

}  // namespace nodeward::pki
