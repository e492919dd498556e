// SPDX-License-Identifier: Apache-2.0
#include "policy/network_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace nodeward::policy {
namespace {

using model::LabelSelector;
using model::NetworkPolicy;
using Peer = NetworkPolicy::Peer;
using Rule = NetworkPolicy::Rule;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Rule AnyPortFrom(std::vector<Peer> peers) {
  return {.any_port = true,
          .ports = {},
          .anybody = peers.empty(),
          .peers = std::move(peers)};
}
Rule Ports(std::vector<NetworkPolicy::Port> ports,
           std::vector<Peer> peers = {}) {
  return {.any_port = false,
          .ports = std::move(ports),
          .anybody = peers.empty(),
          .peers = std::move(peers)};
}

// Pods shop/web (10.0.0.1) on node-a and full/sleep (10.0.0.2, fd00::2) on
// node-b.
class NetworkPolicyTest : public ::testing::Test {
 protected:
  NetworkPolicyTest() {
    snapshot_.namespace_labels = {{"shop", {{"team", "s"}}},
                                  {"full", {{"team", "f"}}}};
    web_ = AddPod("shop", "web", "node-a", {"10.0.0.1"});
    sleep_ = AddPod("full", "sleep", "node-b", {"10.0.0.2", "fd00::2"});
  }
  std::shared_ptr<model::Workload> AddPod(const char* name_space,
                                          const char* name, const char* node,
                                          std::vector<const char*> ips) {
    auto pod = std::make_shared<model::Workload>();
    pod->name_space = name_space;
    pod->name = name;
    pod->node = std::string(node);
    pod->labels = model::Labels{{"app", name}};
    pod->membership = model::Membership::kEnabled;
    for (const char* ip : ips) {
      pod->ips.push_back(*base::IpAddress::Parse(ip));
    }
    snapshot_.workloads.push_back(pod);
    return pod;
  }
  NetworkPolicy& Add(const char* name_space, const char* name) {
    auto policy = std::make_shared<NetworkPolicy>();
    policy->name_space = name_space;
    policy->name = name;
    NetworkPolicy& added = *policy;
    auto& all = snapshot_.network_policies;
    all.push_back(std::move(policy));
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a->QualifiedName() < b->QualifiedName();
    });
    return added;
  }
  // A policy of web's with these rules of ingress.
  void LetIn(const char* name, std::vector<Rule> rules) {
    Add("shop", name).ingress = std::move(rules);
  }
  std::vector<std::string> In(const model::Workload* from = nullptr) const {
    return Names(Blocking(snapshot_, *web_, Way::kIn, kTunnelPort, from));
  }
  // Of a tunnel from sleep to web.
  std::string Why(const char* destination = "10.0.0.1") const {
    return WhyTunnelIsBlocked(snapshot_, *sleep_, *web_,
                              *base::IpAddress::Parse(destination));
  }
  static std::vector<std::string> Names(const NetworkPolicies& policies) {
    std::vector<std::string> names;
    for (const auto& each : policies) names.push_back(each->QualifiedName());
    return names;
  }

  model::Snapshot snapshot_;
  std::shared_ptr<model::Workload> web_;
  std::shared_ptr<model::Workload> sleep_;
};

TEST_F(NetworkPolicyTest, WhereNoPolicyIsAllPasses) {
  EXPECT_THAT(In(), IsEmpty());
  EXPECT_EQ(Why(), "");
}

TEST_F(NetworkPolicyTest, OneWithoutRulesLetsNobodyIn) {
  LetIn("deny-all", {});
  EXPECT_THAT(In(), ElementsAre("shop/deny-all"));
  EXPECT_THAT(In(sleep_.get()), ElementsAre("shop/deny-all"));
  // The other way it says nothing, nor of pods of other namespaces.
  EXPECT_THAT(Blocking(snapshot_, *web_, Way::kOut, kTunnelPort, nullptr),
              IsEmpty());
  EXPECT_THAT(Blocking(snapshot_, *sleep_, Way::kIn, kTunnelPort, nullptr),
              IsEmpty());
}

TEST_F(NetworkPolicyTest, OnlySelectedPodsAreConcerned) {
  NetworkPolicy& policy = Add("shop", "p");
  policy.ingress.emplace();
  policy.pods.labels = {{"app", "db"}};
  EXPECT_THAT(In(), IsEmpty());
  policy.pods = {
      .labels = {},
      .requirements = {{"app", LabelSelector::Operator::kNotIn, {"db"}}}};
  EXPECT_THAT(In(), ElementsAre("shop/p"));
}

TEST_F(NetworkPolicyTest, PoliciesAddUp) {
  LetIn("deny-all", {});
  LetIn("web", {Ports({{"", 80, 80}})});
  EXPECT_THAT(In(), ElementsAre("shop/deny-all", "shop/web"));
  LetIn("mesh", {Ports({{"", 80, 80}, {"", 15008, 15008}})});
  EXPECT_THAT(In(), IsEmpty());
}

TEST_F(NetworkPolicyTest, WhatCoversThePort) {
  const auto passes = [&](Rule rule) {
    snapshot_.network_policies.clear();
    LetIn("p", {std::move(rule)});
    return In().empty();
  };
  EXPECT_TRUE(passes(AnyPortFrom({})));
  EXPECT_TRUE(passes(Ports({{"", 15000, 15010}})));
  EXPECT_TRUE(passes(Ports({{"", 1, 65535}})));
  EXPECT_FALSE(passes(Ports({})));  // of UDP only
  EXPECT_FALSE(passes(Ports({{"", 15009, 15010}})));
  EXPECT_FALSE(passes(Ports({{"", 1, 15007}})));
  EXPECT_FALSE(passes(Ports({{"hbone"}})));
  web_->ports =
      std::vector<model::ContainerPort>{{"hbone", 15008, {}}, {"http", 80, {}}};
  EXPECT_TRUE(passes(Ports({{"hbone"}})));
  EXPECT_FALSE(passes(Ports({{"http"}})));
}

TEST_F(NetworkPolicyTest, PeersAreJudgedWhereTheyAreKnown) {
  const auto passes = [&](Peer peer, const model::Workload* from) {
    snapshot_.network_policies.clear();
    LetIn("p", {AnyPortFrom({std::move(peer)})});
    return In(from).empty();
  };
  const auto own = AddPod("shop", "cart", "node-a", {"10.0.0.3"});
  const LabelSelector everything;
  const LabelSelector app_sleep{.labels = {{"app", "sleep"}},
                                .requirements = {}};
  const LabelSelector team_f{.labels = {{"team", "f"}}, .requirements = {}};
  Peer peer;
  peer.pods = everything;  // of the policy's own namespace
  EXPECT_TRUE(passes(peer, own.get()));
  EXPECT_FALSE(passes(peer, sleep_.get()));
  EXPECT_TRUE(passes(peer, nullptr));
  peer.namespaces = everything;
  EXPECT_TRUE(passes(peer, sleep_.get()));
  peer.namespaces = team_f;
  EXPECT_TRUE(passes(peer, sleep_.get()));
  EXPECT_FALSE(passes(peer, own.get()));
  peer.pods = app_sleep;
  EXPECT_TRUE(passes(peer, sleep_.get()));
  sleep_->labels = model::Labels{{"app", "other"}};
  EXPECT_FALSE(passes(peer, sleep_.get()));
  peer.pods.reset();
  EXPECT_TRUE(passes(peer, sleep_.get()));
  // A namespace of which nothing is known is selected by nothing.
  snapshot_.namespace_labels.clear();
  peer.namespaces = everything;
  EXPECT_FALSE(passes(peer, sleep_.get()));
}

TEST_F(NetworkPolicyTest, BlocksOfAddressesAndTheirExceptions) {
  const auto passes = [&](const char* cidr, const char* except) {
    snapshot_.network_policies.clear();
    Peer peer;
    peer.block = *base::Cidr::Parse(cidr);
    if (*except != '\0') peer.except = {*base::Cidr::Parse(except)};
    LetIn("p", {AnyPortFrom({std::move(peer)})});
    return In(sleep_.get()).empty();
  };
  EXPECT_TRUE(passes("10.0.0.0/8", ""));
  EXPECT_TRUE(passes("fd00::/8", ""));
  EXPECT_FALSE(passes("10.1.0.0/16", ""));
  EXPECT_FALSE(passes("10.0.0.0/8", "10.0.0.0/24"));
  EXPECT_TRUE(passes("10.0.0.0/8", "10.0.1.0/24"));
}

TEST_F(NetworkPolicyTest, TellsWhatStandsBetweenTwoPods) {
  LetIn("deny-all", {});
  EXPECT_EQ(Why(),
            "NetworkPolicy shop/deny-all selects the pod and does not allow "
            "TCP 15008");
  LetIn("web", {Ports({{"", 80, 80}})});
  NetworkPolicy& out = Add("full", "out");
  out.egress.emplace({Ports({{"", 80, 80}})});
  EXPECT_EQ(Why(),
            "NetworkPolicies shop/deny-all, shop/web select the pod and do not "
            "allow TCP 15008; NetworkPolicy full/out selects the client and "
            "does not allow egress to TCP 15008");
  out.egress->push_back(Ports({{"", 15008, 15008}}));
  LetIn("mesh", {Ports({{"", 15008, 15008}})});
  EXPECT_EQ(Why(), "");
}

TEST_F(NetworkPolicyTest, ABlockIsOfOneFamily) {
  web_->ips.push_back(*base::IpAddress::Parse("fd00::1"));
  Peer four, six;
  four.block = *base::Cidr::Parse("10.0.0.0/8");
  six.block = *base::Cidr::Parse("fd00::/8");
  LetIn("four", {AnyPortFrom({four})});
  EXPECT_EQ(Why(), "");
  EXPECT_EQ(Why("fd00::1"),
            "NetworkPolicy shop/four selects the pod and does not allow TCP "
            "15008");
  LetIn("six", {AnyPortFrom({six})});
  EXPECT_EQ(Why("fd00::1"), "");
  Add("full", "out").egress.emplace({AnyPortFrom({six})});
  EXPECT_EQ(Why("fd00::1"), "");
  EXPECT_NE(Why(), "");
}

TEST_F(NetworkPolicyTest, NamedPortsOfEgressAreTheServers) {
  NetworkPolicy& out = Add("full", "out");
  out.egress.emplace({Ports({{"hbone"}})});
  EXPECT_NE(Why(), "");
  web_->ports = std::vector<model::ContainerPort>{{"hbone", 15008, {}}};
  EXPECT_EQ(Why(), "");
}

TEST_F(NetworkPolicyTest, FindsBlockedPodsOfANode) {
  AddPod("shop", "cart", "node-a", {"10.0.0.3"});
  AddPod("shop", "far", "node-b", {"10.0.0.4"});
  AddPod("shop", "plain", "node-a", {"10.0.0.5"})->membership =
      model::Membership::kNotOptedIn;
  LetIn("deny-all", {});
  NetworkPolicy& web = Add("shop", "web");
  web.pods.labels = {{"app", "web"}};
  web.ingress.emplace();
  const auto found = FindBlockedPods(snapshot_, "node-a", Way::kIn);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].policy->QualifiedName(), "shop/deny-all");
  EXPECT_THAT(found[0].pods, ElementsAre("shop/cart", "shop/web"));
  EXPECT_EQ(found[1].policy->QualifiedName(), "shop/web");
  EXPECT_THAT(found[1].pods, ElementsAre("shop/web"));
  EXPECT_THAT(FindBlockedPods(snapshot_, "node-a", Way::kOut), IsEmpty());
}

}  // namespace
}  // namespace nodeward::policy
