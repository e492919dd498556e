// SPDX-License-Identifier: Apache-2.0
#include "policy/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nodeward::policy {
namespace {

using model::MtlsMode;
using ::testing::HasSubstr;

const model::Identity kSleep = {"cluster.local", "full", "sleep"};

class AdmitTest : public ::testing::Test {
 protected:
  AdmitTest() {
    snapshot_.trust_domain = "cluster.local";
    snapshot_.trust_domain_aliases = {"old.example"};
    httpbin_.name = "httpbin";
    httpbin_.name_space = "mtls-test";
    httpbin_.labels = {{"app", "httpbin"}};
    httpbin_.membership = model::Membership::kEnabled;
  }

  void SetMode(MtlsMode mode) {
    model::PeerAuthentication policy;
    policy.name = "httpbin";
    policy.name_space = "mtls-test";
    policy.mode = mode;
    snapshot_.peer_authentications = {policy};
  }

  Verdict Ask(std::optional<model::Identity> peer) {
    snapshot_.Finish();
    return Admit(snapshot_, httpbin_, {base::IpAddress(), peer, 80});
  }

  model::Snapshot snapshot_;
  model::Workload httpbin_;
};

TEST_F(AdmitTest, ModeDecidesForPlaintext) {
  EXPECT_TRUE(Ask(std::nullopt).allow);
  SetMode(MtlsMode::kPermissive);
  EXPECT_TRUE(Ask(std::nullopt).allow);
  SetMode(MtlsMode::kDisable);
  EXPECT_TRUE(Ask(std::nullopt).allow);
  SetMode(MtlsMode::kStrict);
  const Verdict verdict = Ask(std::nullopt);
  EXPECT_FALSE(verdict.allow);
  EXPECT_EQ(verdict.reason, "plaintext to a STRICT port");
  EXPECT_EQ(verdict.policy, "mtls-test/httpbin");
  EXPECT_EQ(verdict.mtls, MtlsMode::kStrict);
  EXPECT_FALSE(AdmitsPlaintext(snapshot_, httpbin_, base::IpAddress(), 80));
}

TEST_F(AdmitTest, AVerifiedPeerOfTheMeshMayPass) {
  for (const MtlsMode mode : {MtlsMode::kStrict, MtlsMode::kPermissive,
                              MtlsMode::kDisable, MtlsMode::kUnset}) {
    SetMode(mode);
    const Verdict verdict = Ask(kSleep);
    EXPECT_TRUE(verdict.allow);
    EXPECT_EQ(verdict.reason, "");
  }
}

TEST_F(AdmitTest, AForeignTrustDomainIsDenied) {
  EXPECT_TRUE(Ask(model::Identity{"old.example", "full", "sleep"}).allow);
  const Verdict verdict = Ask(model::Identity{"evil.example", "full", "sleep"});
  EXPECT_FALSE(verdict.allow);
  EXPECT_THAT(verdict.reason, HasSubstr("evil.example"));
  EXPECT_FALSE(Ask(model::Identity{"", "full", "sleep"}).allow);
  SetMode(MtlsMode::kDisable);
  EXPECT_FALSE(Ask(model::Identity{"evil.example", "full", "sleep"}).allow);
}

TEST_F(AdmitTest, AClosingPolicyDeniesEveryone) {
  model::ClosingPolicy closing;
  closing.kind = "AuthorizationPolicy";
  closing.name = "deny";
  closing.name_space = "mtls-test";
  closing.reason = "not supported";
  snapshot_.closing_policies = {closing};
  for (const auto& peer :
       {std::optional(kSleep), std::optional<model::Identity>()}) {
    const Verdict verdict = Ask(peer);
    EXPECT_FALSE(verdict.allow);
    EXPECT_EQ(verdict.policy, "mtls-test/deny");
    EXPECT_EQ(verdict.reason,
              "closed by AuthorizationPolicy mtls-test/deny: not supported");
  }
}

TEST_F(AdmitTest, AClosingPolicyKeepsToItsScope) {
  model::ClosingPolicy closing;
  closing.kind = "PeerAuthentication";
  closing.name_space = "full";
  snapshot_.closing_policies = {closing};
  EXPECT_TRUE(Ask(kSleep).allow);
  closing.name_space = "mtls-test";
  closing.selector = {{"app", "sleep"}};
  snapshot_.closing_policies = {closing};
  EXPECT_TRUE(Ask(kSleep).allow);
  closing.mesh_wide = true;
  closing.name_space = "istio-system";
  snapshot_.closing_policies = {closing};
  EXPECT_TRUE(Ask(kSleep).allow);
  closing.selector = {{"app", "httpbin"}};
  snapshot_.closing_policies = {closing};
  EXPECT_FALSE(Ask(kSleep).allow);
  closing.selector.clear();
  snapshot_.closing_policies = {closing};
  EXPECT_FALSE(Ask(kSleep).allow);
}

TEST_F(AdmitTest, NobodyReachesADisputedAddress) {
  httpbin_.membership = model::Membership::kConflict;
  EXPECT_FALSE(Ask(kSleep).allow);
  EXPECT_FALSE(Ask(std::nullopt).allow);
}

// ---- authorization ----

using model::Attribute;
using model::AuthorizationPolicy;
using model::AuthorizationRule;
using Action = model::AuthorizationPolicy::Action;

AuthorizationRule FromNamespace(const std::string& name_space) {
  AuthorizationRule rule;
  rule.from = {{{Attribute::kNamespace, "", {name_space}, {}}}};
  return rule;
}

class AuthorizeTest : public AdmitTest {
 protected:
  AuthorizationPolicy& Add(const std::string& name, Action action,
                           std::vector<AuthorizationRule> rules,
                           const std::string& ns = "mtls-test") {
    auto policy = std::make_shared<AuthorizationPolicy>();
    policy->name = name;
    policy->name_space = ns;
    policy->action = action;
    policy->rules = std::move(rules);
    policy->mesh_wide = ns == "istio-system";
    snapshot_.authorization_policies.push_back(policy);
    return *policy;
  }
  // Made ready once as the data path does; must say what Admit says.
  Verdict Ask(std::optional<model::Identity> peer = kSleep,
              uint16_t port = 80) {
    snapshot_.Finish();
    const Connection connection{base::IpAddress(), std::move(peer), port};
    const Verdict verdict =
        Rulebook(snapshot_).For(httpbin_)->Decide(connection);
    const Verdict again = Admit(snapshot_, httpbin_, connection);
    EXPECT_EQ(verdict.allow, again.allow);
    EXPECT_EQ(verdict.policy, again.policy);
    EXPECT_EQ(verdict.reason, again.reason);
    return verdict;
  }
};

// What one policy alone decides for full/sleep.
TEST_F(AuthorizeTest, TheSpecialSpecs) {
  const struct {
    Action action;
    std::vector<AuthorizationRule> rules;
    bool allow;
  } rows[] = {
      {Action::kAllow, {}, false},  // allow-nothing
      {Action::kAllow, {{}}, true},
      {Action::kAllow, {FromNamespace("full")}, true},
      {Action::kAllow, {FromNamespace("x")}, false},
      {Action::kAllow, {FromNamespace("x"), FromNamespace("full")}, true},
      {Action::kDeny, {{}}, false},
      {Action::kDeny, {FromNamespace("full")}, false},
      {Action::kDeny, {FromNamespace("x")}, true},
      {Action::kAudit, {{}}, true},
      {Action::kAudit, {}, true},
      {Action::kCustom, {{}}, false},
      {Action::kCustom, {FromNamespace("full")}, false},
      {Action::kCustom, {FromNamespace("x")}, true},
  };
  for (const auto& row : rows) {
    snapshot_.authorization_policies.clear();
    Add("p", row.action, row.rules);
    EXPECT_EQ(Ask().allow, row.allow) << ActionText(row.action);
  }
}

TEST_F(AuthorizeTest, DenyComesBeforeAllowAndCustomBeforeDeny) {
  Add("b-allow", Action::kAllow, {{}});
  Verdict verdict = Ask();
  EXPECT_TRUE(verdict.allow);
  EXPECT_EQ(verdict.policy, "mtls-test/b-allow");
  EXPECT_EQ(verdict.rule, 0);
  EXPECT_EQ(verdict.reason, "");

  Add("deny", Action::kDeny, {FromNamespace("x"), FromNamespace("full")});
  verdict = Ask();
  EXPECT_FALSE(verdict.allow);
  EXPECT_EQ(verdict.layer, Verdict::Layer::kAuthz);
  EXPECT_EQ(verdict.policy, "mtls-test/deny");
  EXPECT_EQ(verdict.rule, 1);
  EXPECT_EQ(verdict.reason,
            "denied by DENY AuthorizationPolicy mtls-test/deny rule 1");

  Add("ext", Action::kCustom, {{}});
  verdict = Ask();
  EXPECT_FALSE(verdict.allow);
  EXPECT_EQ(verdict.policy, "mtls-test/ext");
  EXPECT_THAT(verdict.reason, HasSubstr("never asked"));
}

TEST_F(AuthorizeTest, WhatNoAllowCoversIsDenied) {
  Add("b", Action::kAllow, {FromNamespace("x")});
  Add("a", Action::kAllow, {FromNamespace("y")});
  const Verdict verdict = Ask();
  EXPECT_FALSE(verdict.allow);
  EXPECT_EQ(verdict.rule, -1);
  EXPECT_EQ(verdict.policy, "mtls-test/a");
  EXPECT_EQ(verdict.reason,
            "no rule of an ALLOW AuthorizationPolicy holds: mtls-test/a and 1 "
            "more");
}

TEST_F(AuthorizeTest, Scopes) {
  const struct {
    const char* name_space;
    model::Labels selector;
    bool applies;
  } rows[] = {
      {"mtls-test", {}, true},
      {"mtls-test", {{"app", "httpbin"}}, true},
      {"mtls-test", {{"app", "sleep"}}, false},
      {"mtls-test", {{"app", "httpbin"}, {"version", "v1"}}, false},
      {"full", {}, false},
      {"full", {{"app", "httpbin"}}, false},
      {"istio-system", {}, true},
      {"istio-system", {{"app", "httpbin"}}, true},
      {"istio-system", {{"app", "sleep"}}, false},
  };
  for (const auto& row : rows) {
    snapshot_.authorization_policies.clear();
    Add("p", Action::kDeny, {{}}, row.name_space).selector = row.selector;
    EXPECT_EQ(!Ask().allow, row.applies) << row.name_space;
  }
}

TEST_F(AuthorizeTest, TargetedAndDryRunPoliciesDecideNothing) {
  Add("target", Action::kDeny, {{}}).targeted = true;
  Add("dry", Action::kDeny, {{}}).dry_run = true;
  Add("dry-allow", Action::kAllow, {}).dry_run = true;
  const Verdict verdict = Ask();
  EXPECT_TRUE(verdict.allow);
  EXPECT_EQ(verdict.policy, "");
}

TEST_F(AuthorizeTest, AuthenticationComesFirst) {
  SetMode(MtlsMode::kStrict);
  Add("allow", Action::kAllow, {{}});
  Verdict verdict = Ask(std::nullopt);
  EXPECT_FALSE(verdict.allow);
  EXPECT_EQ(verdict.layer, Verdict::Layer::kAuthn);
  EXPECT_EQ(verdict.policy, "mtls-test/httpbin");
  verdict = Ask(model::Identity{"evil", "full", "sleep"});
  EXPECT_FALSE(verdict.allow);
  EXPECT_EQ(verdict.layer, Verdict::Layer::kAuthn);
}

TEST_F(AuthorizeTest, PlaintextHasNoIdentity) {
  AuthorizationRule authenticated;
  authenticated.from = {{{Attribute::kPrincipal, "", {"*"}, {}}}};
  Add("authenticated", Action::kAllow, {authenticated});
  EXPECT_TRUE(Ask().allow);
  EXPECT_FALSE(Ask(std::nullopt).allow);
  // DENY notPrincipals ["*"] is "deny unauthenticated".
  snapshot_.authorization_policies.clear();
  AuthorizationRule unauthenticated;
  unauthenticated.from = {{{Attribute::kPrincipal, "", {}, {"*"}}}};
  Add("unauthenticated", Action::kDeny, {unauthenticated});
  EXPECT_TRUE(Ask().allow);
  EXPECT_FALSE(Ask(std::nullopt).allow);
}

TEST_F(AuthorizeTest, PortModesCount) {
  SetMode(MtlsMode::kStrict);
  snapshot_.peer_authentications[0].selector = {{"app", "httpbin"}};
  snapshot_.peer_authentications[0].port_modes = {{8080, MtlsMode::kPermissive},
                                                  {8081, MtlsMode::kUnset}};
  EXPECT_FALSE(Ask(std::nullopt, 80).allow);
  EXPECT_TRUE(Ask(std::nullopt, 8080).allow);
  EXPECT_EQ(Ask(std::nullopt, 8080).mtls, MtlsMode::kPermissive);
  EXPECT_FALSE(Ask(std::nullopt, 8081).allow);
}

TEST_F(AuthorizeTest, TellsWhetherItWantsTheSni) {
  snapshot_.Finish();
  EXPECT_FALSE(Rulebook(snapshot_).For(httpbin_)->WantsSni());
  AuthorizationRule rule;
  rule.when = {{Attribute::kSni, "", {"a"}, {}}};
  Add("sni", Action::kDeny, {rule});
  snapshot_.Finish();
  EXPECT_TRUE(Rulebook(snapshot_).For(httpbin_)->WantsSni());
}

TEST_F(AuthorizeTest, ANewRulebookTakesOverWhatStands) {
  Add("a", Action::kAllow, {FromNamespace("full")});
  snapshot_.Finish();
  const Rulebook first(snapshot_);
  model::Snapshot next = snapshot_;
  next.Finish();
  const Rulebook second(next, &first);
  const Connection connection{base::IpAddress(), kSleep, 80};
  EXPECT_TRUE(second.For(httpbin_)->Decide(connection).allow);
  // Under other trust domains nothing stands: principals mean others.
  next.trust_domain = "td";
  const Rulebook third(next, &second);
  EXPECT_FALSE(third.For(httpbin_)->Decide(connection).allow);
}

}  // namespace
}  // namespace nodeward::policy
