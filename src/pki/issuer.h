// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/identity.h"
#include "pki/certificate.h"

namespace nodeward::pki {

struct Issued {
  std::vector<Certificate> chain;  // leaf first, without the root
  std::vector<Certificate> roots;
};

// Whoever signs: the embedded CA, later a CA over gRPC. Asynchronous, because
// the second kind is; the embedded one answers before it returns.
class Issuer {
 public:
  virtual ~Issuer() = default;
  // `done` is called once, on any thread.
  virtual void Issue(const model::Identity& identity, std::string csr_pem,
                     std::function<void(base::StatusOr<Issued>)> done) = 0;
  // Where certificates come from, for status: "embedded /var/lib/nodeward/ca".
  virtual std::string Description() const = 0;
};

}  // namespace nodeward::pki
