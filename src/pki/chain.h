// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "model/identity.h"
#include "pki/certificate.h"
#include "pki/issuer.h"

struct x509_store_st;
struct x509_store_ctx_st;

namespace nodeward::pki {

// Makes `roots` the anchors of `store`, and nothing else.
base::Status AddRoots(x509_store_st* store,
                      const std::vector<Certificate>& roots);

// Why OpenSSL's path validation in `context` failed, in an operator's words:
// "expired on 2026-11-22T05:30:37Z", "signed by O=x, which is no root here".
base::Status ChainError(x509_store_ctx_st* context);

// What X.509-SVID section 4 and 5.2 ask of a leaf beyond RFC 5280: it is no CA
// and may sign neither certificates nor revocation lists.
base::Status CheckLeaf(const Certificate& leaf);

// Whether `issued` is the answer to a request for `identity` made with `key`:
// the key is ours, the SPIFFE ID is the asked one, the chain leads to one of
// its roots at `now`.
base::Status CheckIssued(const Issued& issued, const model::Identity& identity,
                         const PrivateKey& key, absl::Time now);

}  // namespace nodeward::pki
