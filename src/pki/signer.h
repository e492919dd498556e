// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/time/time.h"
#include "base/status.h"
#include "model/identity.h"
#include "pki/certificate.h"
#include "pki/key.h"

namespace nodeward::pki {

struct Root {
  Certificate certificate;
  PrivateKey key;
};

struct Validity {
  absl::Time not_before;
  absl::Time not_after;
};

// A self-signed EC P-256 root with the subject O=<trust domain> (cut at the 64
// characters that X.520 allows): CA:TRUE, keyCertSign and cRLSign, critical.
base::StatusOr<Root> MakeRoot(std::string_view trust_domain,
                              const Validity& validity);

// OK when `root` can sign for others and verify as an anchor: a self-signed CA
// certificate with its own key. Says nothing about its dates.
base::Status CheckRoot(const Root& root);

// An X.509-SVID for `key`: empty subject, the SPIFFE ID as the one, critical
// alternative name, for servers and clients, a random serial of 128 bits.
base::StatusOr<Certificate> SignLeaf(const Root& root, evp_pkey_st* key,
                                     const model::Identity& identity,
                                     const Validity& validity);

}  // namespace nodeward::pki
