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

}  // namespace
}  // namespace nodeward::policy
