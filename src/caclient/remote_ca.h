// SPDX-License-Identifier: Apache-2.0
//
// caclient: asks a CA elsewhere for certificates, over gRPC. Judges no
// certificate: whoever asked does. gRPC's threads only call back.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "pki/issuer.h"

namespace nodeward::caclient {

// A server of istio.v1.auth.IstioCertificateService: nodeward's own CA, istiod,
// istio-csr. Asks in the name of this node (a bearer token) for the identity of
// a pod on it ("ImpersonatedIdentity").
class RemoteCa final : public pki::Issuer {
 public:
  struct Options {
    std::string address;      // host:port
    std::string server_name;  // in the CA's certificate; empty: the host
    std::string roots;        // PEM file, read anew for every request
    std::string token;        // file, read anew for every request
    std::string cluster;      // what istiod calls our cluster; empty: unsaid
    absl::Duration lifetime = absl::Hours(24);  // asked for; may get less
    absl::Duration timeout = absl::Seconds(10);
  };
  // Connects when it is first asked. Files are not looked at before.
  static std::unique_ptr<RemoteCa> Create(Options options);
  // Cancels what is under way; every `done` has been called afterwards.
  // REQUIRES: not from inside a `done`.
  ~RemoteCa() override;

  // Errors keep the code of the CA's answer (kPermissionDenied,
  // kUnavailable …) and name its address.
  void Issue(const model::Identity& identity, std::string csr_pem,
             std::function<void(base::StatusOr<pki::Issued>)> done) override;
  std::string Description() const override;

 private:
  class State;
  explicit RemoteCa(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

// What a CA's answer holds. The last element is the roots; where all is in one
// element, the self-signed ones are. A root among the others is left out of the
// chain.
base::StatusOr<pki::Issued> ReadAnswer(const std::vector<std::string>& parts);

}  // namespace nodeward::caclient
