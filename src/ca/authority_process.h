// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "admin/http_server.h"
#include "admin/readiness.h"
#include "base/status.h"
#include "ca/authorizer.h"
#include "ca/caller.h"
#include "ca/config.h"
#include "ca/https_client.h"
#include "ca/issuer_watch.h"
#include "ca/leadership.h"
#include "ca/server.h"
#include "ca/service.h"
#include "ca/serving_certificate.h"
#include "ca/static_tokens.h"
#include "ca/token_review.h"
#include "discovery/source.h"
#include "io/loop.h"
#include "io/signals.h"
#include "observe/ca_metrics.h"

namespace nodeward::ca {

// One CA, all of it, on one loop. Parts are built in the order below and taken
// down in the reverse.
class AuthorityProcess {
 public:
  static base::StatusOr<std::unique_ptr<AuthorityProcess>> Start(
      const Config& config);
  ~AuthorityProcess();
  // Until SIGTERM or SIGINT; requests open then are answered first.
  void Run();
  // Where it listens, with the ports that were chosen; no port: not served.
  base::Endpoint listen() const;
  base::Endpoint admin() const;

 private:
  explicit AuthorityProcess(const Config& config);
  base::Status Build();
  base::Status BuildAuthenticator();
  base::Status BuildPods();
  base::Status BuildAdmin();
  base::Status BuildLeadership();
  void LogStart() const;
  void OnSignal(int signal);
  void OnEvent(const Event& event);
  void OnTick();
  void Refresh();

  const Config config_;
  observe::CaMetrics metrics_;
  admin::Readiness readiness_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<io::Signals> signals_;
  std::unique_ptr<IssuerWatch> issuer_;
  std::unique_ptr<HttpsClient> api_;        // null: Kubernetes is not asked
  std::unique_ptr<Leadership> leadership_;  // null: nothing to do for a leader
  std::unique_ptr<Authenticator> authenticator_;
  StaticTokens* tokens_ = nullptr;  // the authenticator, where it is one
  std::string token_error_;
  std::unique_ptr<Authorizer> authorizer_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<discovery::Source> pods_;
  std::unique_ptr<ServingCertificate> serving_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<admin::HttpServer> admin_;
  std::unique_ptr<io::Timer> tick_;
  bool stopping_ = false;
};

}  // namespace nodeward::ca
