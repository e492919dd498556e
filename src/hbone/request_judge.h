// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "hbone/pod.h"
#include "http/gateway.h"
#include "model/identity.h"
#include "observe/flow.h"
#include "policy/verdict.h"

namespace nodeward::hbone {

// Is what comes to `port` of the pod taken for HTTP? Where a Service or the pod
// declares it, and where nothing is declared and a policy asks for HTTP
// attributes. REQUIRES: the pod's workload is known, and there is a mesh.
bool SpeaksHttp(const Worker& worker, const Pod& pod, uint16_t port);

// Asks the pod's policy of now about the requests of one connection. Those that
// are refused get a record of their own.
class RequestJudge {
 public:
  // `flow`, the connection's, outlives it; so do the others.
  RequestJudge(Worker* worker, Pod* pod, const observe::Flow* flow);

  // Who the client is. Without that: plaintext. `hash` is of its certificate.
  void SetPeer(const model::Identity& peer, std::string_view hash,
               std::string_view sni);

  http::GatewayUser::Ruling Judge(http::RequestHead* request);
  // The same without a record; the reason if it is no.
  std::optional<policy::Verdict> Denial(const http::RequestHead& request) const;
  void RecordBad(const base::Status& why) const;
  std::string_view client_cert() const { return client_cert_; }

 private:
  void Record(observe::Outcome outcome, std::string policy,
              std::string detail) const;

  Worker* const worker_;
  Pod* const pod_;
  const observe::Flow* const flow_;
  std::optional<model::Identity> peer_;
  std::string sni_;
  std::string client_cert_;
};

}  // namespace nodeward::hbone
