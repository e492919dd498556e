// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/ip.h"
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

// An EC P-256 intermediate under `root` with the subject O=<trust domain>,
// CN=<common name>: CA:TRUE with pathlen 0 (leaves only), keyCertSign and
// cRLSign, critical.
base::StatusOr<Root> MakeIntermediate(const Root& root,
                                      std::string_view trust_domain,
                                      std::string_view common_name,
                                      const Validity& validity);

// Whether its basic constraints and key usage let it sign certificates.
bool MaySign(const Certificate& certificate);
// Whether it is signed with its own key.
bool IsSelfSigned(const Certificate& certificate);

// An X.509-SVID for `key`: empty subject, the SPIFFE ID as the one, critical
// alternative name, for servers and clients, a random serial of 128 bits.
base::StatusOr<Certificate> SignLeaf(const Root& root, evp_pkey_st* key,
                                     const model::Identity& identity,
                                     const Validity& validity);
base::StatusOr<Certificate> SignLeaf(const Certificate& issuer,
                                     const PrivateKey& issuer_key,
                                     evp_pkey_st* key,
                                     const model::Identity& identity,
                                     const Validity& validity);

// A certificate for a TLS server that is no workload: DNS names and addresses,
// one at least, and no SPIFFE ID, so that it says nothing inside the mesh.
struct ServerNames {
  std::vector<std::string> dns;
  std::vector<base::IpAddress> addresses;
};
base::StatusOr<Certificate> SignServer(const Certificate& issuer,
                                       const PrivateKey& issuer_key,
                                       evp_pkey_st* key,
                                       const ServerNames& names,
                                       const Validity& validity);

}  // namespace nodeward::pki
