// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "identity/renewer.h"
#include "model/check.h"
#include "pki/credential.h"

namespace nodeward::identity {

// What `nodeward check` judges of trust and certificates.
struct CheckInput {
  std::shared_ptr<const pki::TrustBundle> bundle;  // null: none yet
  std::vector<std::string> trust_problems;
  // Those really in use, of this node.
  std::vector<std::shared_ptr<const pki::Credential>> credentials;
  std::vector<CertificateStatus> certificates;
  absl::Time now;
};

// "nodeward-identity", its eight lines in Linkerd's order and words. One that
// the others rest on ends the category when it fails.
model::CheckCategory CheckIdentity(const CheckInput& input);

// "nodeward-identity-data-plane": the certificates in use against the bundle,
// their renewal, and the clock.
model::CheckCategory CheckDataPlane(const CheckInput& input);

}  // namespace nodeward::identity
