// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/status.h"
#include "model/identity.h"
#include "pki/csr.h"

namespace nodeward::pki {

// Whether `csr` asks for `identity` and for nothing else: its one alternative
// name is that SPIFFE ID, its subject is empty (an organization is passed over,
// a common name may repeat the SPIFFE ID), and what it says of its use is no
// more than every leaf gets: digitalSignature, keyEncipherment, servers,
// clients, no CA. Anything else, or twice, is FailedPrecondition, although of a
// CSR only the key is used: whoever sent it expects a certificate that it would
// not get.
base::Status CheckRequest(const Csr& csr, const model::Identity& identity);

}  // namespace nodeward::pki
