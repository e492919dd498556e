// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status.h"
#include "ca/authorizer.h"
#include "ca/caller.h"
#include "ca/limiter.h"
#include "ca/pod_directory.h"
#include "model/identity.h"
#include "observe/ca_metrics.h"
#include "pki/authority.h"

namespace nodeward::ca {

// A request, whatever carried it.
struct Request {
  std::string csr;           // PEM
  absl::Duration lifetime;   // zero: as the CA pleases
  std::string impersonated;  // SPIFFE ID; empty: the caller's own
  std::optional<std::string> token;
  std::string peer;  // the address it came from, without the port
};

// Answers requests for certificates. Thread-safe.
class Service {
 public:
  struct Options {
    absl::Duration lifetime = absl::Hours(24);      // unless another is asked
    absl::Duration max_lifetime = absl::Hours(24);  // of what is asked
    absl::Duration clock_skew = absl::Seconds(20);  // notBefore in the past
    // Requests of one caller, and of one address before it is known whose they
    // are: behind one may stand several callers.
    Limiter::Options per_caller = {};
    Limiter::Options per_address = {
        .rate = 500, .burst = 5000, .in_flight = 256};
    // Wall clock, injected for tests.
    std::function<absl::Time()> clock = [] { return absl::Now(); };
  };
  using Issuer = std::function<std::shared_ptr<const pki::Authority>()>;
  // All outlive the service. `issuer` may give null: none yet.
  Service(Options options, Issuer issuer, Authenticator* authenticator,
          const Authorizer* authorizer, observe::CaMetrics* metrics);

  // Null: nothing is known of pods.
  void SetPods(std::shared_ptr<const PodDirectory> pods);

  // The certificates in PEM: the leaf, intermediates, and last, in one element,
  // the roots. Waits for the authenticator. Every certificate is one line of
  // the log: who asked, for whom, serial, until when. Errors have gRPC's codes.
  base::StatusOr<std::vector<std::string>> Create(const Request& request);

 private:
  base::StatusOr<std::vector<std::string>> Answer(const Request& request);
  base::StatusOr<std::vector<std::string>> Issue(
      const Request& request, const Caller& caller,
      const model::Identity& identity);
  base::StatusOr<std::vector<std::string>> ForCaller(const Request& request,
                                                     const Caller& caller);

  const Options options_;
  const Issuer issuer_;
  Authenticator* const authenticator_;
  const Authorizer* const authorizer_;
  observe::CaMetrics* const metrics_;
  Limiter per_caller_;
  Limiter per_address_;
  base::Mutex mutex_;
  std::shared_ptr<const PodDirectory> pods_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace nodeward::ca
