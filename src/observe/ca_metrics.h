// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace nodeward::observe {

// The CA's Prometheus metrics. Thread-safe.
class CaMetrics {
 public:
  explicit CaMetrics(const std::string& version);  // nodeward_build_info
  ~CaMetrics();
  CaMetrics(const CaMetrics&) = delete;
  CaMetrics& operator=(const CaMetrics&) = delete;

  // A request was answered with the gRPC code of that name ("OK",
  // "PERMISSION_DENIED"): one of a fixed set.
  void Answered(const std::string& code, absl::Duration took);
  // An event of that reason ("IssuerUpdated"): one of a fixed set.
  void Happened(const std::string& reason);
  // Expiry of the issuer's chain, and of the certificate of the CA's own port.
  void SetIssuer(absl::Time not_after);
  void SetServing(absl::Time not_after);

  // Prometheus text format, version 0.0.4.
  std::string Text(absl::Time now) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nodeward::observe
