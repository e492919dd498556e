// SPDX-License-Identifier: Apache-2.0
#include "capture/destinations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "base/ip.h"

namespace nodeward::capture {
namespace {

using kernel::Action;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

base::IpAddress Address(std::string_view text) {
  return base::IpAddress::Parse(text).value();
}

class DestinationsTest : public testing::Test {
 protected:
  std::shared_ptr<const model::Workload> Pod(
      const std::string& name, std::vector<std::string> ips,
      model::Membership membership = model::Membership::kEnabled,
      const std::string& node = "elsewhere") {
    auto pod = std::make_shared<model::Workload>();
    pod->uid = name;
    pod->name = name;
    pod->node = node;
    pod->membership = membership;
    pod->opted_in = membership != model::Membership::kNotOptedIn;
    for (const std::string& ip : ips) pod->ips.push_back(Address(ip));
    snapshot_.workloads.push_back(pod);
    return pod;
  }
  // Port -> the pods that are ready there.
  void Service(
      std::vector<std::string> ips,
      const std::map<uint16_t,
                     std::vector<std::shared_ptr<const model::Workload>>>&
          ports) {
    auto service = std::make_shared<model::Service>();
    service->name = "service";
    for (const std::string& ip : ips) {
      service->cluster_ips.push_back(Address(ip));
    }
    for (const auto& [number, pods] : ports) {
      model::ServicePort port;
      port.port = number;
      for (const auto& pod : pods) {
        port.ready.push_back(
            {{pod == nullptr ? Address("192.0.2.1") : pod->ips[0], 8080}, pod});
      }
      service->ports.push_back(std::move(port));
    }
    snapshot_.services.push_back(service);
  }
  std::map<std::string, kernel::Destination> Result() {
    snapshot_.Finish();
    std::map<std::string, kernel::Destination> result;
    base::IpAddress last;
    for (const auto& each : DestinationsOf(snapshot_)) {
      EXPECT_LT(last, each.address);
      last = each.address;
      result[each.address.ToString()] = each;
    }
    return result;
  }

  model::Snapshot snapshot_;
};

TEST_F(DestinationsTest, NothingKnownNothingListed) {
  EXPECT_THAT(Result(), IsEmpty());
}

TEST_F(DestinationsTest, PodsOfTheMeshOnEveryNode) {
  Pod("a", {"10.0.0.1", "fd00::1"});
  Pod("b", {"10.0.0.2"}, model::Membership::kEnabled, "here");
  Pod("c", {"10.0.0.3"}, model::Membership::kNotOptedIn);
  Pod("d", {"10.0.0.4"}, model::Membership::kHostNetwork);
  Pod("e", {});
  const auto result = Result();
  ASSERT_EQ(result.size(), 3u);
  for (const char* ip : {"10.0.0.1", "fd00::1", "10.0.0.2"}) {
    EXPECT_EQ(result.at(ip).action, Action::kCapture) << ip;
    EXPECT_THAT(result.at(ip).ports, IsEmpty());
    EXPECT_TRUE(result.at(ip).of_mesh) << ip;
  }
}

TEST_F(DestinationsTest, DisputedAndDepartedAddressesAreRefused) {
  Pod("a", {"10.0.0.1"});
  Pod("b", {"10.0.0.1"}, model::Membership::kNotOptedIn);
  Pod("c", {"10.0.0.2"}, model::Membership::kTerminal);
  const auto result = Result();
  ASSERT_EQ(result.size(), 2u);
  EXPECT_EQ(result.at("10.0.0.1").action, Action::kRefuse);
  EXPECT_EQ(result.at("10.0.0.2").action, Action::kRefuse);
  for (const auto& [ip, destination] : result) EXPECT_TRUE(destination.of_mesh);
}

TEST_F(DestinationsTest, ServiceOfTheMeshByPort) {
  const auto meshed = Pod("a", {"10.0.0.1"});
  const auto plain = Pod("b", {"10.0.0.2"}, model::Membership::kNotOptedIn);
  Service({"10.96.0.1", "fd96::1"},
          {{80, {plain, meshed}}, {81, {}}, {82, {plain}}});
  const auto result = Result();
  for (const char* ip : {"10.96.0.1", "fd96::1"}) {
    ASSERT_TRUE(result.contains(ip)) << ip;
    EXPECT_EQ(result.at(ip).action, Action::kRefuse);
    EXPECT_THAT(result.at(ip).ports, ElementsAre(Pair(80, Action::kCapture),
                                                 Pair(82, Action::kCapture)));
    EXPECT_TRUE(result.at(ip).of_mesh);
  }
}

TEST_F(DestinationsTest, ServiceWithoutReadyEndpointIsRefused) {
  Service({"10.96.0.1"}, {{80, {}}, {81, {}}});
  const auto result = Result();
  EXPECT_EQ(result.at("10.96.0.1").action, Action::kRefuse);
  EXPECT_THAT(result.at("10.96.0.1").ports, IsEmpty());
  // Who will serve it is not known.
  EXPECT_TRUE(result.at("10.96.0.1").of_mesh);
}

TEST_F(DestinationsTest, ServicesOfOthersAndHeadlessOnesAreLeftAlone) {
  const auto meshed = Pod("a", {"10.0.0.1"});
  const auto plain = Pod("b", {"10.0.0.2"}, model::Membership::kNotOptedIn);
  Service({"10.96.0.2"}, {{80, {plain}}});
  Service({"10.96.0.3"}, {{80, {nullptr}}});
  Service({}, {{80, {meshed}}});
  const auto result = Result();
  EXPECT_EQ(result.size(), 1u);
  EXPECT_TRUE(result.contains("10.0.0.1"));
}

TEST_F(DestinationsTest, WhatADestinationRuleSecuresIsCaptured) {
  const auto plain = Pod("b", {"10.0.0.2"}, model::Membership::kNotOptedIn);
  const auto unready = Pod("c", {"10.0.0.3"}, model::Membership::kNotOptedIn);
  Service({"10.96.0.2"}, {{80, {plain}}});
  Service({}, {{80, {plain}}});
  auto& headless = const_cast<model::Service&>(*snapshot_.services[1]);
  headless.name = "direct";
  headless.ports[0].unready = {{{unready->ips[0], 8080}, unready}};
  auto rule = std::make_shared<model::DestinationRule>();
  rule->host = snapshot_.services[0]->Hostname();
  rule->tls.emplace().mode = model::ClientTls::Mode::kMutual;
  snapshot_.destination_rules = {rule};
  auto result = Result();
  EXPECT_EQ(result.size(), 1u);
  EXPECT_THAT(result.at("10.96.0.2").ports,
              ElementsAre(Pair(80, Action::kCapture)));
  EXPECT_FALSE(result.at("10.96.0.2").of_mesh);
  rule->host = headless.Hostname();
  result = Result();
  EXPECT_EQ(result.size(), 2u);
  EXPECT_EQ(result.at("10.0.0.2").action, Action::kCapture);
  EXPECT_EQ(result.at("10.0.0.3").action, Action::kCapture);
  EXPECT_FALSE(result.at("10.0.0.2").of_mesh);
  rule->tls->mode = model::ClientTls::Mode::kDisable;
  EXPECT_THAT(Result(), IsEmpty());
  rule->host = "*";
  rule->broken = "why";
  EXPECT_EQ(Result().size(), 3u);
}

}  // namespace
}  // namespace nodeward::capture
