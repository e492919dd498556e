// SPDX-License-Identifier: Apache-2.0
#include "policy/lint.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/text.h"
#include "policy/authn.h"
#include "policy/lint_destination.h"
#include "policy/trust_domain.h"

namespace nodeward::policy {
namespace {

using base::StrCat;
using model::Attribute;
using model::AttributeTest;
using model::AttributeTests;
using model::AuthorizationPolicy;
using model::AuthorizationRule;
using model::Problem;
using model::Snapshot;
using model::Workload;
using Action = model::AuthorizationPolicy::Action;

bool IsIdentity(Attribute attribute) {
  return attribute == Attribute::kPrincipal ||
         attribute == Attribute::kNamespace ||
         attribute == Attribute::kServiceAccount ||
         attribute == Attribute::kTrustDomain;
}

bool IsToken(Attribute attribute) {
  return attribute >= Attribute::kRequestPrincipal;
}

bool IsHttpPort(model::Protocol protocol) {
  return protocol == model::Protocol::kHttp ||
         protocol == model::Protocol::kHttp2 ||
         protocol == model::Protocol::kGrpc;
}

// Every test of a rule, wherever it stands.
std::vector<const AttributeTest*> TestsOf(const AuthorizationRule& rule) {
  std::vector<const AttributeTest*> tests;
  const auto add = [&](const AttributeTests& list) {
    for (const AttributeTest& test : list) tests.push_back(&test);
  };
  for (const AttributeTests& list : rule.from) add(list);
  for (const AttributeTests& list : rule.to) add(list);
  add(rule.when);
  return tests;
}

class Linter {
 public:
  Linter(const Snapshot& snapshot, const AuthorizationPolicy& policy,
         std::vector<Problem>* problems)
      : snapshot_(snapshot),
        policy_(policy),
        problems_(problems),
        domains_(snapshot.trust_domain, snapshot.trust_domain_aliases,
                 snapshot.federated_trust_domains) {
    for (const auto& workload : snapshot.workloads) {
      if (policy.Concerns(*workload)) concerned_.push_back(workload.get());
    }
  }

  void Run();

 private:
  void Say(std::string reason) {
    problems_->push_back(
        {policy_.file, policy_.line,
         StrCat("AuthorizationPolicy ", policy_.QualifiedName()),
         std::move(reason)});
  }
  void CheckRule(size_t index, const AuthorizationRule& rule);
  void CheckBytes(const std::string& title, const AuthorizationRule& rule);
  void CheckValues(const std::string& title, const AttributeTest& test);
  void CheckPrincipal(const std::string& title, const std::string& value);
  void CheckPort(const std::string& title, const std::string& value);
  void CheckPlaintext(const std::string& title, const AuthorizationRule& rule);
  // "foo/httpbin port 80": one that it concerns and that is not declared HTTP.
  std::string SomeBytePort() const;

  const Snapshot& snapshot_;
  const AuthorizationPolicy& policy_;
  std::vector<Problem>* const problems_;
  const TrustDomains domains_;
  std::vector<const Workload*> concerned_;
};

void Linter::Run() {
  if (policy_.targeted) return;
  if (concerned_.empty() && !snapshot_.workloads.empty() &&
      !policy_.selector.empty()) {
    Say("its selector selects no pod");
  }
  if (policy_.action == Action::kAudit) {
    Say("AUDIT only marks requests, and nothing reads the marks: it has no "
        "effect");
  }
  if (policy_.action == Action::kCustom) {
    Say("external authorizers are not asked: what its rules match is denied");
  }
  for (size_t i = 0; i < policy_.rules.size(); ++i) {
    CheckRule(i, policy_.rules[i]);
  }
}

void Linter::CheckRule(size_t index, const AuthorizationRule& rule) {
  const std::string title = StrCat("rule ", index);
  CheckBytes(title, rule);
  CheckPlaintext(title, rule);
  std::set<std::string_view> told;
  for (const AttributeTest* test : TestsOf(rule)) {
    const std::string_view name = AttributeText(test->attribute);
    if (IsToken(test->attribute) && told.insert(name).second) {
      Say(StrCat(title, ": ", name,
                 " counts as absent, because no token is verified here: "
                 "values never match, notValues always do"));
    }
    if (test->attribute == Attribute::kRemoteIp && told.insert(name).second) {
      Say(StrCat(title,
                 ": remoteIpBlocks and remote.ip mean the packet's own source "
                 "here; X-Forwarded-For and PROXY headers are not looked at"));
    }
    CheckValues(title, *test);
  }
}

// What becomes of HTTP attributes where no HTTP is.
void Linter::CheckBytes(const std::string& title,
                        const AuthorizationRule& rule) {
  if (!AsksForHttp(rule)) return;
  if (policy_.action == Action::kAllow) {
    const std::string port = SomeBytePort();
    if (port.empty()) return;
    return Say(StrCat(title, " can never hold at ", port,
                      ", which is not declared HTTP: ALLOW with HTTP "
                      "attributes allows no TCP"));
  }
  const auto names_port = [](const AttributeTests& tests) {
    return std::any_of(tests.begin(), tests.end(), [](const auto& test) {
      return test.attribute == Attribute::kPort;
    });
  };
  const bool bounded =
      names_port(rule.when) ||
      (!rule.to.empty() &&
       std::all_of(rule.to.begin(), rule.to.end(), names_port));
  if (policy_.action == Action::kAudit || bounded) return;
  const auto tests = TestsOf(rule);
  const bool only = std::all_of(
      tests.begin(), tests.end(),
      [](const AttributeTest* test) { return IsHttp(test->attribute); });
  Say(StrCat(title,
             " has HTTP attributes and names no ports: on a port that is not "
             "HTTP they are left out, and it denies every connection",
             only ? "" : " that the rest of the rule matches",
             "; name the HTTP ports"));
}

std::string Linter::SomeBytePort() const {
  for (const Workload* workload : concerned_) {
    for (const model::ContainerPort& port : workload->ports) {
      if (!IsHttpPort(snapshot_.TraitsOf(*workload, port.port).protocol)) {
        return StrCat(workload->QualifiedName(), " port ", port.port);
      }
    }
  }
  return "";
}

void Linter::CheckPlaintext(const std::string& title,
                            const AuthorizationRule& rule) {
  if (policy_.action != Action::kDeny) return;
  const auto tests = TestsOf(rule);
  if (std::none_of(tests.begin(), tests.end(), [](const AttributeTest* test) {
        return IsIdentity(test->attribute) && !test->values.empty();
      })) {
    return;
  }
  for (const Workload* workload : concerned_) {
    // Port 0 stands for all that no policy lists.
    const EffectiveMtls mtls = MtlsFor(snapshot_, *workload, 0);
    if (mtls.mode == model::MtlsMode::kStrict) continue;
    return Say(StrCat(title, " denies by identity, but ",
                      workload->QualifiedName(), " is ",
                      MtlsModeText(mtls.mode),
                      ": who comes in plaintext has none and gets past it"));
  }
}

void Linter::CheckValues(const std::string& title, const AttributeTest& test) {
  for (const auto* list : {&test.values, &test.not_values}) {
    for (const std::string& value : *list) {
      if (test.attribute == Attribute::kPrincipal) {
        CheckPrincipal(title, value);
      } else if (test.attribute == Attribute::kPort) {
        CheckPort(title, value);
      } else if (test.attribute == Attribute::kMethod &&
                 std::any_of(value.begin(), value.end(),
                             [](char c) { return c >= 'a' && c <= 'z'; })) {
        Say(StrCat(title, ": method '", value,
                   "' has lower-case letters: methods are compared with "
                   "their case"));
      }
    }
  }
}

void Linter::CheckPrincipal(const std::string& title,
                            const std::string& value) {
  if (value.starts_with("spiffe://")) {
    return Say(StrCat(title, ": principal '", value,
                      "' matches nobody: leave out spiffe://"));
  }
  if (value.find('*') != std::string::npos) return;
  const auto identity = model::Identity::ParseSpiffe("spiffe://" + value);
  if (!identity.ok()) {
    return Say(StrCat(title, ": principal '", value,
                      "' matches nobody: identities are <trust domain>/ns/"
                      "<namespace>/sa/<service account>"));
  }
  if (identity->trust_domain != "cluster.local" &&
      !domains_.Accepts(identity->trust_domain)) {
    Say(StrCat(title, ": principal '", value,
               "' matches nobody: its trust domain is neither the mesh's own "
               "nor an alias, and not federated"));
  }
}

// Rules see the pod's port, people often write the service's.
void Linter::CheckPort(const std::string& title, const std::string& value) {
  for (const auto& service : snapshot_.services) {
    for (const model::ServicePort& port : service->ports) {
      if (std::to_string(port.port) != value) continue;
      for (const model::ServiceEndpoint& endpoint : port.ready) {
        if (endpoint.address.port == port.port ||
            std::find(concerned_.begin(), concerned_.end(),
                      endpoint.workload.get()) == concerned_.end()) {
          continue;
        }
        return Say(StrCat(title, ": port ", value, " is that of service ",
                          service->name_space, "/", service->name,
                          "; rules see the pod's, which is ",
                          endpoint.address.port));
      }
    }
  }
}

void LintAuthentication(const Snapshot& snapshot,
                        std::vector<Problem>* problems) {
  if (snapshot.workloads.empty()) return;
  for (const auto& policy : snapshot.peer_authentications) {
    if (policy.selector.empty() ||
        policy.name_space == snapshot.root_namespace) {
      continue;
    }
    const bool selects =
        std::any_of(snapshot.workloads.begin(), snapshot.workloads.end(),
                    [&](const auto& workload) {
                      return workload->name_space == policy.name_space &&
                             model::Selects(policy.selector, workload->labels);
                    });
    if (selects) continue;
    problems->push_back({policy.file, policy.line,
                         StrCat("PeerAuthentication ", policy.QualifiedName()),
                         "its selector selects no pod"});
  }
}

void LintServices(const Snapshot& snapshot, std::vector<Problem>* problems) {
  for (const auto& service : snapshot.services) {
    for (const model::ServicePort& port : service->ports) {
      if (port.protocol != model::Protocol::kUnknown) continue;
      problems->push_back(
          {"", 0, StrCat("Service ", service->name_space, "/", service->name),
           StrCat("port ", port.port,
                  " declares no protocol, by its name or appProtocol: it is "
                  "taken for bytes, where HTTP attributes cannot be known")});
    }
  }
}

}  // namespace

std::vector<Problem> Lint(const Snapshot& snapshot) {
  std::vector<Problem> problems;
  for (const auto& policy : snapshot.authorization_policies) {
    Linter(snapshot, *policy, &problems).Run();
  }
  LintAuthentication(snapshot, &problems);
  LintDestinationRules(snapshot, &problems);
  LintServices(snapshot, &problems);
  return problems;
}

}  // namespace nodeward::policy
