// SPDX-License-Identifier: Apache-2.0
#include "observe/flow.h"

namespace nodeward::observe {

std::string_view OutcomeText(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOpen:
      return "open";
    case Outcome::kClosed:
      return "closed";
    case Outcome::kReset:
      return "reset";
    case Outcome::kDeniedPlaintext:
      return "denied_plaintext";
    case Outcome::kDeniedPolicy:
      return "denied_policy";
    case Outcome::kDeniedRequest:
      return "denied_request";
    case Outcome::kBadRequest:
      return "bad_request";
    case Outcome::kPolicyChanged:
      return "policy_changed";
    case Outcome::kTrustChanged:
      return "trust_changed";
    case Outcome::kCertificateEnd:
      return "certificate_end";
    case Outcome::kSilent:
      return "silent";
    case Outcome::kTlsFailure:
      return "tls_failure";
    case Outcome::kNoCredential:
      return "no_credential";
    case Outcome::kUpstreamRefused:
      return "upstream_refused";
    case Outcome::kUpstreamTimeout:
      return "upstream_timeout";
    case Outcome::kTunnelRefused:
      return "tunnel_refused";
    case Outcome::kTunnelLost:
      return "tunnel_lost";
    case Outcome::kNoRoute:
      return "no_route";
    case Outcome::kNoOriginalDestination:
      return "no_original_destination";
    case Outcome::kReservedPort:
      return "reserved_port";
    case Outcome::kPodGone:
      return "pod_gone";
    case Outcome::kShutdown:
      return "shutdown";
    case Outcome::kLimit:
      return "limit";
  }
  return "unknown";
}

bool IsRefusal(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDeniedPlaintext:
    case Outcome::kDeniedPolicy:
    case Outcome::kDeniedRequest:
    case Outcome::kBadRequest:
    case Outcome::kPolicyChanged:
    case Outcome::kTrustChanged:
    case Outcome::kCertificateEnd:
    case Outcome::kSilent:
    case Outcome::kTlsFailure:
    case Outcome::kNoCredential:
    case Outcome::kNoRoute:
    case Outcome::kNoOriginalDestination:
    case Outcome::kReservedPort:
    case Outcome::kLimit:
      return true;
    case Outcome::kOpen:
    case Outcome::kClosed:
    case Outcome::kReset:
    case Outcome::kUpstreamRefused:
    case Outcome::kUpstreamTimeout:
    case Outcome::kTunnelRefused:
    case Outcome::kTunnelLost:
    case Outcome::kPodGone:
    case Outcome::kShutdown:
      return false;
  }
  return false;
}

std::string_view SecurityText(Security security) {
  switch (security) {
    case Security::kUnknown:
      return "unknown";
    case Security::kMutualTls:
      return "mutual_tls";
    case Security::kPlaintext:
      return "plaintext";
    case Security::kPassthroughTls:
      return "passthrough_tls";
    case Security::kOriginatedTls:
      return "originated_tls";
  }
  return "unknown";
}

std::string_view ReporterText(Reporter reporter) {
  return reporter == Reporter::kSource ? "source" : "destination";
}

}  // namespace nodeward::observe
