// SPDX-License-Identifier: Apache-2.0
//
// observe: instruments, not exporters. Flow records, the access log line, the
// edges table, counters. Exporters live in admin.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/ip.h"
#include "model/identity.h"
#include "model/snapshot.h"

namespace nodeward::observe {

enum class Reporter { kSource, kDestination };  // outbound / inbound side

// How the bytes travelled. Unknown is never shown as secured.
// kOriginatedTls: plaintext with the application, TLS with the server, as a
// DestinationRule says.
enum class Security {
  kUnknown,
  kMutualTls,
  kPlaintext,
  kPassthroughTls,
  kOriginatedTls,
};

// Why a connection ended, or was refused. The text is a metric label and is
// shown in the access log.
enum class Outcome {
  kOpen,             // still going
  kClosed,           // both directions ended by FIN
  kReset,            // one application reset it
  kDeniedPlaintext,  // plaintext to a STRICT port
  kDeniedPolicy,     // an authorization or closing policy
  kDeniedRequest,    // one HTTP request; its connection goes on
  kBadRequest,       // one that cannot be read safely; the last of its
                     // connection
  kPolicyChanged,    // was open, a new policy forbids it
  kTrustChanged,     // was open, its peer is trusted no longer
  kCertificateEnd,   // was open for too long after a certificate's end
  kSilent,           // no first byte in time under STRICT
  kTlsFailure,       // handshake or certificate refused
  kNoCredential,     // no certificate for the pod's own identity (yet)
  kUpstreamRefused,  // the destination refused the connection
  kUpstreamTimeout,  // it did not answer
  kTunnelRefused,    // the peer's agent answered with a status other than 200
  kTunnelLost,       // the tunnel under it broke
  kNoRoute,          // unknown or disputed destination, no ready endpoint
  kNoOriginalDestination,  // somebody connected to the agent's own port
  kReservedPort,           // destination port 15001, 15006 or 15008
  kPodGone,                // the pod was removed
  kShutdown,               // the agent stopped
  kLimit,                  // a bound on connections or memory was reached
};
std::string_view OutcomeText(Outcome outcome);
// True when nodeward itself said no, not the network or the application.
bool IsRefusal(Outcome outcome);
// True when it is about one request and not about its connection, which has a
// record of its own.
inline bool IsOfRequest(Outcome outcome) {
  return outcome == Outcome::kDeniedRequest || outcome == Outcome::kBadRequest;
}
std::string_view SecurityText(Security security);  // "mutual_tls" …
std::string_view ReporterText(Reporter reporter);  // "source", "destination"

// One connection as one agent sees it. Filled by the data path.
struct Flow {
  uint64_t id = 0;  // unique in this agent's life
  Reporter reporter = Reporter::kSource;
  Security security = Security::kUnknown;
  Outcome outcome = Outcome::kOpen;
  absl::Time opened;
  absl::Duration duration;
  base::Endpoint source;       // the client application's address
  base::Endpoint destination;  // what the client asked for (VIP:port)
  base::Endpoint upstream;     // the pod IP and port it went to
  std::shared_ptr<const model::Workload> source_workload;       // may be null
  std::shared_ptr<const model::Workload> destination_workload;  // may be null
  std::shared_ptr<const model::Service> service;                // may be null
  // Verified ones only, else null. Shared: a tunnel's streams have the same.
  std::shared_ptr<const model::Identity> source_identity;
  std::shared_ptr<const model::Identity> destination_identity;
  uint64_t bytes_sent = 0;      // client to server
  uint64_t bytes_received = 0;  // server to client
  std::string policy;           // the policy that decided; empty: the default
  std::string detail;           // cause in words; may be empty
};

// Takes flows from the workers. Thread-safe; must not block: implementations
// queue and return. Opened is called once at most, Closed once.
class FlowSink {
 public:
  virtual ~FlowSink() = default;
  virtual void Opened(const Flow& flow) = 0;
  virtual void Closed(const Flow& flow) = 0;
};

}  // namespace nodeward::observe
