// SPDX-License-Identifier: Apache-2.0
#include "policy/destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace nodeward::policy {
namespace {

using model::Membership;
using Kind = Route::Kind;
using ::testing::HasSubstr;

base::Endpoint At(const char* text) { return *base::Endpoint::Parse(text); }

class RouteToTest : public ::testing::Test {
 protected:
  std::shared_ptr<model::Workload> AddPod(
      const char* name, std::initializer_list<const char*> ips,
      Membership membership) {
    auto pod = std::make_shared<model::Workload>();
    pod->name = name;
    pod->name_space = "ns";
    pod->membership = membership;
    pod->opted_in = membership != Membership::kNotOptedIn;
    for (const char* ip : ips) {
      pod->ips.push_back(*base::IpAddress::Parse(ip));
    }
    snapshot_.workloads.push_back(pod);
    return pod;
  }

  std::shared_ptr<model::Service> AddService(
      std::initializer_list<const char*> ips,
      std::vector<model::ServiceEndpoint> ready) {
    auto service = std::make_shared<model::Service>();
    service->name = "svc";
    service->name_space = "ns";
    for (const char* ip : ips) {
      service->cluster_ips.push_back(*base::IpAddress::Parse(ip));
    }
    service->ports.push_back({"http", 8000, {}, false, std::move(ready)});
    snapshot_.services.push_back(service);
    return service;
  }

  Route To(const char* destination, bool held = false, uint64_t pick = 0) {
    snapshot_.Finish();
    return RouteTo(snapshot_, client_.get(), At(destination), held, pick);
  }

  void Disable(uint16_t port) {
    model::PeerAuthentication policy;
    policy.name = "p";
    policy.name_space = "ns";
    policy.selector = {};
    policy.mode = model::MtlsMode::kStrict;
    snapshot_.peer_authentications = {policy};
    policy.name = "q";
    policy.selector = {{"app", "x"}};
    policy.port_modes = {{port, model::MtlsMode::kDisable}};
    snapshot_.peer_authentications.push_back(policy);
    for (const auto& workload : snapshot_.workloads) {
      const_cast<model::Workload&>(*workload).labels = {{"app", "x"}};
    }
  }

  model::Snapshot snapshot_;
  std::shared_ptr<model::Workload> client_;
};

TEST_F(RouteToTest, AMeshPodIsReachedThroughATunnel) {
  const auto pod = AddPod("a", {"10.0.0.1", "fd00::1"}, Membership::kEnabled);
  for (const char* to : {"10.0.0.1:80", "[fd00::1]:80"}) {
    const Route route = To(to);
    EXPECT_EQ(route.kind, Kind::kTunnel);
    EXPECT_EQ(route.address, At(to));
    EXPECT_EQ(route.workload, pod);
    EXPECT_EQ(route.service, nullptr);
    EXPECT_EQ(To(to, true).kind, Kind::kTunnel);
  }
}

TEST_F(RouteToTest, OtherPodsAreSpokenToPlainly) {
  const auto pod = AddPod("a", {"10.0.0.1"}, Membership::kNotOptedIn);
  EXPECT_EQ(To("10.0.0.1:80").kind, Kind::kPlaintext);
  EXPECT_EQ(To("10.0.0.1:80", true).kind, Kind::kPlaintext);
  EXPECT_EQ(To("10.0.0.1:80").workload, pod);
}

TEST_F(RouteToTest, ModeDisableOfThatPortMeansPlaintext) {
  AddPod("a", {"10.0.0.1"}, Membership::kEnabled);
  Disable(80);
  EXPECT_EQ(To("10.0.0.1:80").kind, Kind::kPlaintext);
  EXPECT_EQ(To("10.0.0.1:81").kind, Kind::kTunnel);
}

TEST_F(RouteToTest, UnknownIsHeldInsideTheMeshOnly) {
  EXPECT_EQ(To("192.0.2.1:80").kind, Kind::kPlaintext);
  const Route route = To("192.0.2.1:80", true);
  EXPECT_EQ(route.kind, Kind::kHold);
  EXPECT_THAT(route.reason, HasSubstr("192.0.2.1"));
}

TEST_F(RouteToTest, AServicePortLeadsToAWorkloadPort) {
  const auto pod = AddPod("a", {"10.0.0.1"}, Membership::kEnabled);
  const auto service = AddService({"10.96.0.1"}, {{At("10.0.0.1:80"), pod}});
  const Route route = To("10.96.0.1:8000");
  EXPECT_EQ(route.kind, Kind::kTunnel);
  EXPECT_EQ(route.address, At("10.0.0.1:80"));
  EXPECT_EQ(route.workload, pod);
  EXPECT_EQ(route.service, service);
  // The policy acts on the workload's port, not on the service's.
  Disable(8000);
  EXPECT_EQ(To("10.96.0.1:8000").kind, Kind::kTunnel);
  Disable(80);
  EXPECT_EQ(To("10.96.0.1:8000").kind, Kind::kPlaintext);
}

TEST_F(RouteToTest, AForeignEndpointIsSpokenToPlainly) {
  AddService({"10.96.0.1"}, {{At("192.0.2.7:5432"), nullptr}});
  const Route route = To("10.96.0.1:8000");
  EXPECT_EQ(route.kind, Kind::kPlaintext);
  EXPECT_EQ(route.address, At("192.0.2.7:5432"));
  EXPECT_EQ(route.workload, nullptr);
}

TEST_F(RouteToTest, KnownDeadEndsAreRefused) {
  const auto service = AddService({"10.96.0.1"}, {});
  Route route = To("10.96.0.1:8000");
  EXPECT_EQ(route.kind, Kind::kRefuse);
  EXPECT_EQ(route.reason, "service ns/svc has no ready endpoint for port 8000");
  EXPECT_EQ(route.service, service);
  route = To("10.96.0.1:80", true);
  EXPECT_EQ(route.kind, Kind::kRefuse);
  EXPECT_EQ(route.reason, "service ns/svc has no port 80");
}

TEST_F(RouteToTest, DisputedAddressesAreRefused) {
  const auto pod = AddPod("a", {"10.0.0.1", "fd00::1"}, Membership::kConflict);
  AddPod("b", {"10.0.0.1"}, Membership::kConflict);
  AddService({"10.96.0.1"}, {{At("10.0.0.1:80"), pod}});
  for (const bool held : {false, true}) {
    EXPECT_EQ(To("10.0.0.1:80", held).kind, Kind::kRefuse);
    EXPECT_EQ(To("[fd00::1]:80", held).kind, Kind::kRefuse);
    EXPECT_EQ(To("10.96.0.1:8000", held).kind, Kind::kRefuse);
  }
}

// It may still run and be STRICT, and speaks no HBONE any more.
TEST_F(RouteToTest, AMeshPodThatHasEndedIsNotSpokenToPlainly) {
  AddPod("a", {"10.0.0.1"}, Membership::kTerminal);
  EXPECT_EQ(To("10.0.0.1:80").kind, Kind::kRefuse);
  EXPECT_EQ(To("10.0.0.1:80", true).kind, Kind::kRefuse);
  // Its address may be another pod's by now.
  AddPod("b", {"10.0.0.1"}, Membership::kNotOptedIn);
  EXPECT_EQ(To("10.0.0.1:80").kind, Kind::kPlaintext);
}

TEST_F(RouteToTest, PicksAmongTheEndpointsOfTheFamilyAskedFor) {
  const auto a = AddPod("a", {"10.0.0.1", "fd00::1"}, Membership::kEnabled);
  const auto b = AddPod("b", {"10.0.0.2", "fd00::2"}, Membership::kEnabled);
  AddService({"10.96.0.1", "fd96::1"}, {{At("10.0.0.1:80"), a},
                                        {At("10.0.0.2:80"), b},
                                        {At("[fd00::1]:80"), a},
                                        {At("[fd00::2]:80"), b}});
  std::map<std::string, int> seen;
  for (uint64_t pick = 0; pick < 8; ++pick) {
    ++seen[To("10.96.0.1:8000", false, pick).address.ToString()];
    ++seen[To("[fd96::1]:8000", false, pick).address.ToString()];
  }
  EXPECT_EQ(seen, (std::map<std::string, int>{{"10.0.0.1:80", 4},
                                              {"10.0.0.2:80", 4},
                                              {"[fd00::1]:80", 4},
                                              {"[fd00::2]:80", 4}}));
  EXPECT_EQ(To("10.96.0.1:8000", false, ~uint64_t{0}).kind, Kind::kTunnel);
}

TEST_F(RouteToTest, TakesTheOtherFamilyRatherThanNone) {
  const auto pod = AddPod("a", {"fd00::1"}, Membership::kEnabled);
  AddService({"10.96.0.1"}, {{At("[fd00::1]:80"), pod}});
  EXPECT_EQ(To("10.96.0.1:8000", false, 3).address, At("[fd00::1]:80"));
}

TEST_F(RouteToTest, AnotherEndpointThanThoseTried) {
  const auto a = AddPod("a", {"10.0.0.1"}, Membership::kEnabled);
  const auto b = AddPod("b", {"10.0.0.2"}, Membership::kEnabled);
  AddService({"10.96.0.1"}, {{At("10.0.0.1:80"), a}, {At("10.0.0.2:80"), b}});
  snapshot_.Finish();
  std::vector<base::Endpoint> tried;
  const auto again = [&](uint64_t pick) {
    return RouteTo(snapshot_, nullptr, At("10.96.0.1:8000"), false, pick,
                   tried);
  };
  const Route first = again(1);
  tried = {first.address};
  for (uint64_t pick = 0; pick < 3; ++pick) {
    EXPECT_EQ(again(pick).kind, Kind::kTunnel);
    EXPECT_NE(again(pick).address, first.address);
  }
  tried.push_back(again(0).address);
  EXPECT_EQ(again(0).kind, Kind::kRefuse);
  EXPECT_THAT(again(0).reason, HasSubstr("no other ready endpoint"));
}

TEST_F(RouteToTest, LocalServicesLeadToTheClientsNode) {
  const auto a = AddPod("a", {"10.0.0.1"}, Membership::kEnabled);
  const auto b = AddPod("b", {"10.0.0.2"}, Membership::kEnabled);
  const auto service = AddService(
      {"10.96.0.1"},
      {{At("10.0.0.1:80"), a, "here"}, {At("10.0.0.2:80"), b, "there"}});
  client_ = std::make_shared<model::Workload>();
  client_->node = "there";
  service->local_only = true;
  for (uint64_t pick = 0; pick < 4; ++pick) {
    EXPECT_EQ(To("10.96.0.1:8000", false, pick).address, At("10.0.0.2:80"));
  }
  client_->node = "elsewhere";
  EXPECT_EQ(To("10.96.0.1:8000").kind, Kind::kRefuse);
  EXPECT_THAT(To("10.96.0.1:8000").reason, HasSubstr("internalTrafficPolicy"));
  service->local_only = false;
  EXPECT_EQ(To("10.96.0.1:8000").kind, Kind::kTunnel);
}

TEST_F(RouteToTest, WhoRequiresMutualTlsSendsTheMeshNothingElse) {
  AddPod("a", {"10.0.0.1"}, Membership::kEnabled);
  AddPod("b", {"10.0.0.2"}, Membership::kNotOptedIn);
  client_ = std::make_shared<model::Workload>();
  client_->requires_mtls = true;
  EXPECT_EQ(To("10.0.0.1:80").kind, Kind::kTunnel);
  EXPECT_EQ(To("10.0.0.2:80").kind, Kind::kPlaintext);
  EXPECT_EQ(To("192.0.2.1:80").kind, Kind::kPlaintext);
  Disable(80);
  const Route refused = To("10.0.0.1:80");
  EXPECT_EQ(refused.kind, Kind::kRefuse);
  EXPECT_TRUE(refused.forbidden);
  EXPECT_THAT(refused.reason, HasSubstr("require-mtls"));
  client_->requires_mtls = false;
  EXPECT_EQ(To("10.0.0.1:80").kind, Kind::kPlaintext);
}

}  // namespace
}  // namespace nodeward::policy
