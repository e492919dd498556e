// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"

struct X509_crl_st;

namespace nodeward::pki {

// A CA's list of certificates that it has taken back. Immutable, shared by
// reference.
class RevocationList {
 public:
  // One or more in PEM; one that is broken fails them all.
  static base::StatusOr<std::vector<RevocationList>> ParsePemBundle(
      std::string_view pem);

  std::string Issuer() const;  // one line, RFC 2253
  // When the next one was promised; InfiniteFuture: it does not say.
  absl::Time next_update() const;
  std::string Sha256Hex() const;  // of the DER form
  X509_crl_st* native() const { return list_.get(); }

 private:
  explicit RevocationList(std::shared_ptr<X509_crl_st> list)
      : list_(std::move(list)) {}
  std::shared_ptr<X509_crl_st> list_;
};

}  // namespace nodeward::pki
