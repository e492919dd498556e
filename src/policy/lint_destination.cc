// SPDX-License-Identifier: Apache-2.0
#include "policy/lint_destination.h"

#include <string>
#include <utility>

#include "base/text.h"
#include "policy/authn.h"

namespace nodeward::policy {
namespace {

using base::StrCat;
using model::ClientTls;
using model::DestinationRule;
using model::Snapshot;

class Linter {
 public:
  Linter(const Snapshot& snapshot, const DestinationRule& rule,
         std::vector<model::Problem>* problems)
      : snapshot_(snapshot), rule_(rule), problems_(problems) {}

  void Run() {
    bool covers = false;
    for (const auto& service : snapshot_.services) {
      if (!rule_.Covers(service->Hostname())) continue;
      covers = true;
      for (const model::ServicePort& port : service->ports) {
        if (const ClientTls* tls = rule_.TlsFor(port.port)) {
          CheckPort(*service, port, *tls);
        }
      }
    }
    if (!covers && !snapshot_.services.empty()) {
      Say(StrCat("its host ", rule_.host,
                 " is that of no service, so it has no effect; a name with a "
                 "dot must be whole, as in NAME.NAMESPACE.svc.cluster.local"));
    }
    CheckNames();
    CheckShadowed();
  }

 private:
  void Say(std::string reason) {
    problems_->push_back({rule_.file, rule_.line,
                          StrCat("DestinationRule ", rule_.QualifiedName()),
                          std::move(reason)});
  }

  // One endpoint that the rule cannot work with is enough to tell.
  void CheckPort(const model::Service& service, const model::ServicePort& port,
                 const ClientTls& tls) {
    const bool mutual = tls.mode == ClientTls::Mode::kIstioMutual;
    for (const model::ServiceEndpoint& endpoint : port.ready) {
      if (endpoint.workload == nullptr) continue;
      const model::Workload& server = *endpoint.workload;
      const std::string where =
          StrCat("says ", ClientTlsModeText(tls.mode), " for port ", port.port,
                 " of service ", service.name_space, "/", service.name,
                 ", but ", server.QualifiedName());
      if (!server.in_mesh()) {
        if (!mutual) continue;
        return Say(
            StrCat(where, " is not in the mesh: connections are refused"));
      }
      const EffectiveMtls mtls =
          MtlsFor(snapshot_, server, endpoint.address.port);
      if (mutual || mtls.mode != model::MtlsMode::kStrict) continue;
      return Say(StrCat(where, " is STRICT (PeerAuthentication ", mtls.policy,
                        "): connections are refused"));
    }
  }

  void CheckNames() {
    const auto anybody = [](const std::optional<ClientTls>& tls) {
      return tls.has_value() && tls->originates() && tls->sni.empty() &&
             tls->subject_alt_names.empty() && tls->ca_certificates.empty() &&
             tls->credential_name.empty() && !tls->insecure_skip_verify;
    };
    bool found = anybody(rule_.tls);
    for (const auto& [port, tls] : rule_.port_tls) found |= anybody(tls);
    if (!found) return;
    Say("names neither a CA nor sni nor subjectAltNames: on a port that is not "
        "HTTP, every server with a certificate of any public CA is taken for "
        "the right one");
  }

  void CheckShadowed() {
    for (const auto& other : snapshot_.destination_rules) {
      // They are sorted by age.
      if (other.get() == &rule_) return;
      if (other->name_space == rule_.name_space && other->host == rule_.host &&
          other->selector == rule_.selector && other->tls.has_value()) {
        return Say(StrCat("its TLS has no effect: ", other->QualifiedName(),
                          " has the same host and is older or comes first by "
                          "name"));
      }
    }
  }

  const Snapshot& snapshot_;
  const DestinationRule& rule_;
  std::vector<model::Problem>* const problems_;
};

}  // namespace

void LintDestinationRules(const Snapshot& snapshot,
                          std::vector<model::Problem>* problems) {
  for (const auto& rule : snapshot.destination_rules) {
    if (rule->broken.empty()) Linter(snapshot, *rule, problems).Run();
  }
}

}  // namespace nodeward::policy
