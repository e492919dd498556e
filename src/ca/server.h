// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "base/ip.h"
#include "base/status.h"
#include "ca/service.h"
#include "ca/serving_certificate.h"

namespace nodeward::ca {

// The service over gRPC with TLS, and grpc.health.v1.Health beside it. The
// certificate is taken anew for each connection, so that renewing it interrupts
// nobody. Clients are asked for no certificate. gRPC's own threads, which call
// the service.
class Server {
 public:
  struct Options {
    base::Endpoint listen;  // port 0: any free one
    int max_threads = 256;  // requests at once; more are ResourceExhausted
  };
  // Serves from the return on; health says NOT_SERVING until SetServing.
  // `service` and `certificate` (which has one) outlive the server.
  static base::StatusOr<std::unique_ptr<Server>> Start(
      const Options& options, Service* service,
      const ServingCertificate* certificate);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void SetServing(bool serving);
  uint16_t port() const;
  // Takes no more connections and requests, waits for those open to be
  // answered, and cuts them off after `deadline`. Blocks.
  void Drain(absl::Duration deadline);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "10.0.0.1" of gRPC's "ipv4:10.0.0.1:4711", "fd00::1" of
// "ipv6:%5Bfd00::1%5D:4711".
std::string AddressOfPeer(const std::string& peer);

}  // namespace nodeward::ca
