// SPDX-License-Identifier: Apache-2.0
#include "policy/authn.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nodeward::policy {
namespace {

using model::Labels;
using model::MtlsMode;
using model::PeerAuthentication;
using model::Snapshot;

constexpr MtlsMode U = MtlsMode::kUnset;
constexpr MtlsMode D = MtlsMode::kDisable;
constexpr MtlsMode P = MtlsMode::kPermissive;
constexpr MtlsMode S = MtlsMode::kStrict;

const Labels kHttpbin = {{"app", "httpbin"}};

PeerAuthentication Policy(std::string ns, std::string name, MtlsMode mode,
                          Labels selector = {}, int64_t created = 0) {
  PeerAuthentication policy;
  policy.name_space = std::move(ns);
  policy.name = std::move(name);
  policy.mode = mode;
  policy.selector = std::move(selector);
  policy.created = created;
  return policy;
}

EffectiveMtls Effective(std::vector<PeerAuthentication> policies,
                        uint16_t port = 80,
                        const std::string& ns = "mtls-test") {
  Snapshot snapshot;
  snapshot.peer_authentications = std::move(policies);
  snapshot.Finish();
  model::Workload workload;
  workload.name_space = ns;
  workload.labels = {{"app", "httpbin"}, {"version", "v1"}};
  return MtlsFor(snapshot, workload, port);
}

TEST(MtlsForTest, PermissiveByDefault) {
  const EffectiveMtls mtls = Effective({});
  EXPECT_EQ(mtls.mode, P);
  EXPECT_EQ(mtls.policy, "");
}

// Every combination of mesh, namespace and workload mode: the narrowest that
// says something decides.
TEST(MtlsForTest, TheNarrowestThatIsSetWins) {
  for (const MtlsMode mesh : {U, D, P, S}) {
    for (const MtlsMode wide : {U, D, P, S}) {
      for (const MtlsMode narrow : {U, D, P, S}) {
        const EffectiveMtls mtls =
            Effective({Policy("istio-system", "mesh", mesh),
                       Policy("mtls-test", "ns", wide),
                       Policy("mtls-test", "httpbin", narrow, kHttpbin)});
        const MtlsMode expected = narrow != U ? narrow
                                  : wide != U ? wide
                                  : mesh != U ? mesh
                                              : P;
        const std::string policy = narrow != U ? "mtls-test/httpbin"
                                   : wide != U ? "mtls-test/ns"
                                   : mesh != U ? "istio-system/mesh"
                                               : "";
        EXPECT_EQ(mtls.mode, expected);
        EXPECT_EQ(mtls.policy, policy);
      }
    }
  }
}

// Port mode x workload mode x namespace mode.
TEST(MtlsForTest, AListedPortBeatsTheWorkload) {
  for (const MtlsMode wide : {U, D, P, S}) {
    for (const MtlsMode narrow : {U, D, P, S}) {
      for (const MtlsMode port : {U, D, P, S}) {
        auto policy = Policy("mtls-test", "httpbin", narrow, kHttpbin);
        policy.port_modes = {{80, port}};
        const std::vector<PeerAuthentication> policies = {
            Policy("mtls-test", "ns", wide), policy};
        const MtlsMode inherited = narrow != U ? narrow : wide != U ? wide : P;
        EXPECT_EQ(Effective(policies, 80).mode, port != U ? port : inherited);
        EXPECT_EQ(Effective(policies, 81).mode, inherited);
        EXPECT_EQ(Effective(policies, 8000).mode, inherited);
      }
    }
  }
}

TEST(MtlsForTest, OtherNamespacesAndWorkloadsDoNotMatter) {
  EXPECT_EQ(Effective({Policy("full", "x", S)}).mode, P);
  EXPECT_EQ(Effective({Policy("mtls-test", "x", S, {{"app", "sleep"}})}).mode,
            P);
  EXPECT_EQ(Effective({Policy("full", "x", S, kHttpbin)}).mode, P);
  EXPECT_EQ(Effective({Policy("mtls-test", "x", S,
                              {{"app", "httpbin"}, {"version", "v2"}})})
                .mode,
            P);
}

TEST(MtlsForTest, ASelectorInTheRootNamespaceHasNoEffect) {
  EXPECT_EQ(Effective({Policy("istio-system", "x", S, kHttpbin)}).mode, P);
  EXPECT_EQ(
      Effective({Policy("istio-system", "x", S, kHttpbin)}, 80, "istio-system")
          .mode,
      P);
  EXPECT_EQ(
      Effective({Policy("istio-system", "x", S)}, 80, "istio-system").mode, S);
}

TEST(MtlsForTest, TheRootNamespaceIsConfigurable) {
  Snapshot snapshot;
  snapshot.root_namespace = "root";
  snapshot.peer_authentications = {Policy("root", "mesh", S),
                                   Policy("istio-system", "other", D)};
  snapshot.Finish();
  model::Workload workload;
  workload.name_space = "mtls-test";
  EXPECT_EQ(MtlsFor(snapshot, workload, 80).mode, S);
}

TEST(MtlsForTest, TheOldestOfALevelWins) {
  EXPECT_EQ(Effective({Policy("mtls-test", "a", S, {}, 20),
                       Policy("mtls-test", "b", D, {}, 10)})
                .mode,
            D);
  EXPECT_EQ(Effective({Policy("istio-system", "a", D, {}, 20),
                       Policy("istio-system", "b", S, {}, 10)})
                .mode,
            S);
  EXPECT_EQ(Effective({Policy("mtls-test", "a", S, kHttpbin, 20),
                       Policy("mtls-test", "b", D, kHttpbin, 10)})
                .mode,
            D);
}

TEST(MtlsForTest, AnOlderUnsetShadowsAYoungerOne) {
  EXPECT_EQ(Effective({Policy("mtls-test", "a", U, {}, 10),
                       Policy("mtls-test", "b", S, {}, 20)})
                .mode,
            P);
  EXPECT_EQ(Effective({Policy("mtls-test", "a", U, kHttpbin, 10),
                       Policy("mtls-test", "b", S, kHttpbin, 20),
                       Policy("mtls-test", "ns", D)})
                .mode,
            D);
  EXPECT_EQ(Effective({Policy("istio-system", "a", U, {}, 10),
                       Policy("istio-system", "b", S, {}, 20)})
                .mode,
            P);
}

TEST(MtlsForTest, OfEqualAgeTheFirstNameWins) {
  EXPECT_EQ(
      Effective({Policy("mtls-test", "b", D), Policy("mtls-test", "a", S)})
          .mode,
      S);
  EXPECT_EQ(Effective({Policy("mtls-test", "a", S, kHttpbin, 7),
                       Policy("mtls-test", "b", D, {{"version", "v1"}}, 7)})
                .policy,
            "mtls-test/a");
}

// The oldest that selects the pod, not the oldest with a selector.
TEST(MtlsForTest, AnOlderPolicyForOthersDoesNotShadow) {
  EXPECT_EQ(Effective({Policy("mtls-test", "a", D, {{"app", "sleep"}}, 1),
                       Policy("mtls-test", "b", S, kHttpbin, 2)})
                .mode,
            S);
}

// Ports of a shadowed policy do not count either.
TEST(MtlsForTest, AShadowedPolicysPortsDoNotCount) {
  auto young = Policy("mtls-test", "b", U, kHttpbin, 20);
  young.port_modes = {{80, D}};
  EXPECT_EQ(Effective({Policy("mtls-test", "a", S, kHttpbin, 10), young}).mode,
            S);
}

}  // namespace
}  // namespace nodeward::policy
