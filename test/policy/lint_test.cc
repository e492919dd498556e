// SPDX-License-Identifier: Apache-2.0
#include "policy/lint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace nodeward::policy {
namespace {

using model::Attribute;
using model::AuthorizationPolicy;
using model::AuthorizationRule;
using Action = model::AuthorizationPolicy::Action;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

model::AttributeTest Is(Attribute attribute, std::vector<std::string> values) {
  return {attribute, "", std::move(values), {}};
}
AuthorizationRule To(std::vector<model::AttributeTests> to) {
  AuthorizationRule rule;
  rule.to = std::move(to);
  return rule;
}
AuthorizationRule From(model::AttributeTests from) {
  AuthorizationRule rule;
  rule.from = {std::move(from)};
  return rule;
}

// A pod foo/web with port 80, STRICT, behind the service foo/web port 8000.
class LintTest : public ::testing::Test {
 protected:
  LintTest() {
    snapshot_.trust_domain = "td";
    workload_ = std::make_shared<model::Workload>();
    workload_->name = "web";
    workload_->name_space = "foo";
    workload_->labels = {{"app", "web"}};
    workload_->ips = {*base::IpAddress::Parse("10.0.0.1")};
    workload_->ports = {{"http", 80, {model::Protocol::kHttp, false}}};
    snapshot_.workloads = {workload_};
    auto service = std::make_shared<model::Service>();
    service->name = "web";
    service->name_space = "foo";
    service->ports.resize(1);
    service->ports[0].port = 8000;
    service->ports[0].protocol = model::Protocol::kHttp;
    service->ports[0].ready = {{{workload_->ips[0], 80}, workload_}};
    service_ = service;
    snapshot_.services = {service};
    model::PeerAuthentication strict;
    strict.name = "strict";
    strict.name_space = "foo";
    strict.mode = model::MtlsMode::kStrict;
    snapshot_.peer_authentications = {strict};
  }
  // What is said of a policy foo/p.
  std::vector<std::string> Check(Action action,
                                 std::vector<AuthorizationRule> rules,
                                 model::Labels selector = {}) {
    auto policy = std::make_shared<AuthorizationPolicy>();
    policy->name = "p";
    policy->name_space = "foo";
    policy->action = action;
    policy->rules = std::move(rules);
    policy->selector = std::move(selector);
    policy->file = "p.yaml";
    policy->line = 3;
    snapshot_.authorization_policies = {policy};
    return Reasons();
  }
  std::vector<std::string> Reasons() {
    snapshot_.Finish();
    std::vector<std::string> reasons;
    for (const model::Problem& problem : Lint(snapshot_)) {
      EXPECT_FALSE(problem.flaw);
      EXPECT_FALSE(problem.closes);
      reasons.push_back(problem.ToString());
    }
    return reasons;
  }
  model::Snapshot snapshot_;
  std::shared_ptr<model::Workload> workload_;
  std::shared_ptr<model::Service> service_;
};

TEST_F(LintTest, NothingToSay) {
  EXPECT_THAT(Reasons(), IsEmpty());
  EXPECT_THAT(Check(Action::kAllow, {}), IsEmpty());
  EXPECT_THAT(
      Check(Action::kDeny, {From({Is(Attribute::kPrincipal,
                                     {"td/ns/a/sa/b", "cluster.local/ns/a/sa/b",
                                      "*/sa/b", "*"})}),
                            To({{Is(Attribute::kMethod, {"GET"}),
                                 Is(Attribute::kPort, {"80"})}})}),
      IsEmpty());
  EXPECT_THAT(Check(Action::kAllow, {To({{Is(Attribute::kMethod, {"GET"})}})}),
              IsEmpty());
}

TEST_F(LintTest, FederatedTrustDomainsAreKnown) {
  const auto check = [this] {
    return Check(Action::kAllow,
                 {From({Is(Attribute::kPrincipal, {"far.org/ns/a/sa/b"})})});
  };
  EXPECT_THAT(check(), ElementsAre(HasSubstr("and not federated")));
  snapshot_.federated_trust_domains = {"far.org"};
  EXPECT_THAT(check(), IsEmpty());
}

TEST_F(LintTest, SelectorsThatSelectNothing) {
  EXPECT_THAT(Check(Action::kAllow, {}, {{"app", "x"}}),
              ElementsAre("p.yaml:3: AuthorizationPolicy foo/p: its selector "
                          "selects no pod"));
  EXPECT_THAT(Check(Action::kAllow, {}, {{"app", "web"}}), IsEmpty());
  snapshot_.authorization_policies.clear();
  model::PeerAuthentication narrow;
  narrow.name = "narrow";
  narrow.name_space = "foo";
  narrow.selector = {{"app", "x"}};
  narrow.file = "n.yaml";
  narrow.line = 7;
  snapshot_.peer_authentications.push_back(narrow);
  EXPECT_THAT(Reasons(), ElementsAre("n.yaml:7: PeerAuthentication foo/narrow: "
                                     "its selector selects no pod"));
  // Without any pod nothing can be said.
  snapshot_.workloads.clear();
  service_->ports[0].ready.clear();
  EXPECT_THAT(Reasons(), IsEmpty());
}

TEST_F(LintTest, HttpAttributesWhereThereIsNoHttp) {
  EXPECT_THAT(Check(Action::kDeny, {To({{Is(Attribute::kMethod, {"GET"})}})}),
              ElementsAre(HasSubstr("it denies every connection; name")));
  EXPECT_THAT(Check(Action::kDeny, {To({{Is(Attribute::kPort, {"80"})},
                                        {Is(Attribute::kMethod, {"GET"})}})}),
              ElementsAre(HasSubstr("that the rest of the rule matches")));
  AuthorizationRule when = To({{Is(Attribute::kMethod, {"GET"})}});
  when.when = {Is(Attribute::kPort, {"80"})};
  EXPECT_THAT(Check(Action::kDeny, {when}), IsEmpty());
  std::vector<model::ContainerPort> ports = workload_->ports;
  ports.push_back({"tcp-db", 81, {model::Protocol::kTcp, true}});
  workload_->ports = ports;
  EXPECT_THAT(Check(Action::kAllow, {To({{Is(Attribute::kMethod, {"GET"})}})}),
              ElementsAre(HasSubstr("can never hold at foo/web port 81")));
}

TEST_F(LintTest, AttributesThatMeanLess) {
  EXPECT_THAT(
      Check(Action::kAllow, {From({Is(Attribute::kRequestPrincipal, {"*"})})}),
      ElementsAre(HasSubstr("requestPrincipals counts as absent")));
  EXPECT_THAT(
      Check(Action::kAllow, {From({Is(Attribute::kRemoteIp, {"10.0.0.1"})})}),
      ElementsAre(HasSubstr("the packet's own source")));
  EXPECT_THAT(Check(Action::kAudit, {{}}),
              ElementsAre(HasSubstr("AUDIT only marks")));
  EXPECT_THAT(Check(Action::kCustom, {{}}),
              ElementsAre(HasSubstr("external authorizers are not asked")));
}

TEST_F(LintTest, ValuesThatMatchNobody) {
  for (const char* value :
       {"spiffe://td/ns/a/sa/b", "td/ns/a", "a", "other/ns/a/sa/b"}) {
    EXPECT_THAT(
        Check(Action::kAllow, {From({Is(Attribute::kPrincipal, {value})})}),
        ElementsAre(HasSubstr("matches nobody")))
        << value;
  }
  EXPECT_THAT(Check(Action::kDeny, {To({{Is(Attribute::kMethod, {"get"}),
                                         Is(Attribute::kPort, {"80"})}})}),
              ElementsAre(HasSubstr("lower-case")));
}

TEST_F(LintTest, AServicesPortInThePlaceOfThePods) {
  EXPECT_THAT(Check(Action::kAllow, {To({{Is(Attribute::kPort, {"8000"})}})}),
              ElementsAre(HasSubstr("port 8000 is that of service foo/web; "
                                    "rules see the pod's, which is 80")));
}

TEST_F(LintTest, DenyByIdentityWherePlaintextComesIn) {
  snapshot_.peer_authentications.clear();
  EXPECT_THAT(Check(Action::kDeny, {From({Is(Attribute::kNamespace, {"x"})})}),
              ElementsAre(HasSubstr("foo/web is PERMISSIVE")));
  AuthorizationRule negated;
  negated.from = {{{Attribute::kPrincipal, "", {}, {"*"}}}};
  EXPECT_THAT(Check(Action::kDeny, {negated}), IsEmpty());
}

TEST_F(LintTest, ServicePortsWithoutAProtocol) {
  service_->ports[0].protocol = model::Protocol::kUnknown;
  EXPECT_THAT(Reasons(),
              ElementsAre(HasSubstr("Service foo/web: port 8000 declares no "
                                    "protocol")));
}

}  // namespace
}  // namespace nodeward::policy
