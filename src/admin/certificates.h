// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/json.h"
#include "base/status.h"

namespace nodeward::admin {

// One SVID of this node as `nodeward certs` shows it. Never a key.
struct CertificateReport {
  std::string identity;  // SPIFFE ID
  std::string state;     // valid, pending, …
  std::string serial;    // empty: none yet
  std::string issuer;
  absl::Time not_before = absl::InfinitePast();
  absl::Time not_after = absl::InfinitePast();
  absl::Time next_renewal = absl::InfinitePast();
  std::string error;      // of the last attempt
  std::string chain_pem;  // what is in use: leaf first; empty: nothing is
};

// The reply to `certs`: all, sorted, without PEM. With the argument
// {"identity":"…"}, a SPIFFE ID or "namespace/account", that one with its
// chain; one that is not there is kNotFound.
base::StatusOr<base::Json> CertificatesResult(
    const std::vector<CertificateReport>& certificates,
    const base::Json& arguments);

}  // namespace nodeward::admin
