// SPDX-License-Identifier: Apache-2.0
#include "discovery/network_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

using model::NetworkPolicy;
using Operator = model::LabelSelector::Operator;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

NetworkPolicy Read(const std::string& spec, std::string* findings = nullptr) {
  Document document("metadata: {name: p, namespace: n}\nspec:\n" + spec);
  const Field root = document.root();
  NetworkPolicy policy = ReadNetworkPolicy(root, ReadMetadata(root));
  if (findings != nullptr) {
    *findings = document.Findings();
  } else {
    EXPECT_EQ(document.Findings(), "");
  }
  return policy;
}

TEST(NetworkPolicyTest, WithoutTypesItIsOfIngressAndOfEgressIfThatHasRules) {
  NetworkPolicy policy = Read("  podSelector: {}");
  EXPECT_EQ(policy.QualifiedName(), "n/p");
  ASSERT_TRUE(policy.ingress.has_value());
  EXPECT_THAT(*policy.ingress, IsEmpty());
  EXPECT_FALSE(policy.egress.has_value());
  policy = Read("  egress: []");
  EXPECT_TRUE(policy.ingress.has_value());
  EXPECT_FALSE(policy.egress.has_value());
  policy = Read("  egress: [{ports: [{port: 53, protocol: UDP}]}]");
  EXPECT_TRUE(policy.ingress.has_value());
  EXPECT_TRUE(policy.egress.has_value());
}

TEST(NetworkPolicyTest, TypesSayWhatItConcerns) {
  NetworkPolicy policy = Read("  policyTypes: [Egress]\n  ingress: [{}]");
  EXPECT_FALSE(policy.ingress.has_value());
  ASSERT_TRUE(policy.egress.has_value());
  EXPECT_THAT(*policy.egress, IsEmpty());
  policy = Read("  policyTypes: [Ingress]\n  egress: [{}]");
  EXPECT_TRUE(policy.ingress.has_value());
  EXPECT_FALSE(policy.egress.has_value());
}

TEST(NetworkPolicyTest, Selectors) {
  const NetworkPolicy policy = Read(
      "  podSelector:\n"
      "    matchLabels: {app: web}\n"
      "    matchExpressions:\n"
      "    - {key: a, operator: In, values: [x, y]}\n"
      "    - {key: b, operator: NotIn, values: [x]}\n"
      "    - {key: c, operator: Exists}\n"
      "    - {key: d, operator: DoesNotExist}\n");
  EXPECT_EQ(policy.pods.labels, (model::Labels{{"app", "web"}}));
  using Requirement = model::LabelSelector::Requirement;
  EXPECT_THAT(policy.pods.requirements,
              ElementsAre(Requirement{"a", Operator::kIn, {"x", "y"}},
                          Requirement{"b", Operator::kNotIn, {"x"}},
                          Requirement{"c", Operator::kExists, {}},
                          Requirement{"d", Operator::kDoesNotExist, {}}));
}

TEST(NetworkPolicyTest, RulesWithoutListsAreForAll) {
  const NetworkPolicy policy = Read("  ingress: [{}, {ports: [], from: []}]");
  for (const auto& rule : *policy.ingress) {
    EXPECT_TRUE(rule.any_port);
    EXPECT_TRUE(rule.anybody);
  }
  EXPECT_EQ(policy.ingress->size(), 2u);
}

TEST(NetworkPolicyTest, Ports) {
  const NetworkPolicy policy = Read(
      "  ingress:\n"
      "  - ports:\n"
      "    - {port: 80}\n"
      "    - {port: 15000, endPort: 15010, protocol: TCP}\n"
      "    - {port: mesh}\n"
      "    - {protocol: TCP}\n"
      "    - {port: 15008, protocol: UDP}\n");
  using Port = NetworkPolicy::Port;
  EXPECT_THAT(policy.ingress->at(0).ports,
              ElementsAre(Port{"", 80, 80}, Port{"", 15000, 15010},
                          Port{"mesh"}, Port{"", 1, 65535}));
  EXPECT_FALSE(policy.ingress->at(0).any_port);
}

TEST(NetworkPolicyTest, Peers) {
  const NetworkPolicy policy = Read(
      "  egress:\n"
      "  - to:\n"
      "    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}\n"
      "    - podSelector: {matchLabels: {app: db}}\n"
      "    - namespaceSelector: {}\n");
  const auto& peers = policy.egress->at(0).peers;
  ASSERT_EQ(peers.size(), 3u);
  EXPECT_EQ(peers[0].block, *base::Cidr::Parse("10.0.0.0/8"));
  EXPECT_THAT(peers[0].except, ElementsAre(*base::Cidr::Parse("10.1.0.0/16")));
  EXPECT_FALSE(peers[0].pods.has_value());
  ASSERT_TRUE(peers[1].pods.has_value());
  EXPECT_FALSE(peers[1].namespaces.has_value());
  EXPECT_FALSE(peers[2].pods.has_value());
  EXPECT_EQ(peers[2].namespaces, model::LabelSelector());
}

TEST(NetworkPolicyTest, FlawsAreTold) {
  std::string findings;
  Read(
      "  podSelector: {matchExpressions: [{key: a, operator: Like}]}\n"
      "  ingress:\n"
      "  - ports: [{port: 9, endPort: 8}, {port: x, endPort: 8}, {port: 0}]\n"
      "    from: [{}, {ipBlock: {cidr: here}}]\n",
      &findings);
  EXPECT_EQ(
      findings,
      "/spec/podSelector/matchExpressions/0/operator: must be In, NotIn, "
      "Exists or DoesNotExist\n"
      "/spec/ingress/0/ports/0/endPort: must not be less than port\n"
      "/spec/ingress/0/ports/1/endPort: needs a port that is a number\n"
      "/spec/ingress/0/ports/2/port: must be a port, 1 to 65535\n"
      "/spec/ingress/0/from/0: must have ipBlock, podSelector or "
      "namespaceSelector\n"
      "/spec/ingress/0/from/1/ipBlock/cidr: must be a block of addresses as "
      "10.0.0.0/8\n");
}

}  // namespace
}  // namespace nodeward::discovery
