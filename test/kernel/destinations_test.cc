// SPDX-License-Identifier: Apache-2.0
#include "kernel/destinations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "kernel/address.h"
#include "kernel/hooks.h"
#include "kernel/netns_fixture.h"
#include "kernel/pin.h"

namespace nodeward::kernel {
namespace {

using test::At;
using test::Ip;
using ::testing::HasSubstr;

// Reads the maps behind the back of the Hooks that wrote them.
class DestinationsTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }
  void Start() {
    auto hooks = Hooks::Load({.bpf_dir = sandbox_.bpf_dir() + "/nodeward",
                              .cgroup_path = sandbox_.cgroup()});
    ASSERT_TRUE(hooks.ok()) << hooks.status().ToString();
    hooks_ = *std::move(hooks);
    auto maps = SharedMaps::Open(sandbox_.bpf_dir() + "/nodeward/v1/maps");
    ASSERT_TRUE(maps.ok());
    map_ = *maps->Get<nodeward_destination_key, nodeward_destination>(
        "destinations");
    settings_ = *maps->Get<uint32_t, nodeward_settings>("settings");
  }
  // The action written for address and port (0: the address), 0: none.
  uint32_t Written(const base::Endpoint& to) {
    nodeward_destination_key key{};
    key.address = ToAbi(to.address);
    key.port = htons(to.port);
    return map_.Get(key).value_or(nodeward_destination{}).action;
  }
  nodeward_settings Settings() { return *settings_.Get(0); }

  test::Sandbox sandbox_;
  std::unique_ptr<Hooks> hooks_;
  Map<nodeward_destination_key, nodeward_destination> map_;
  Map<uint32_t, nodeward_settings> settings_;
};

TEST_F(DestinationsTest, WritesAddressesAndPorts) {
  ASSERT_TRUE(
      hooks_
          ->SetDestinations(
              {{Ip("10.0.0.1"), Action::kCapture, {}},
               {Ip("10.0.0.2"), Action::kRefuse, {{80, Action::kCapture}}}})
          .ok());
  EXPECT_EQ(Written({Ip("10.0.0.1"), 0}), uint32_t{NODEWARD_CAPTURE});
  EXPECT_EQ(Written({Ip("10.0.0.2"), 0}),
            uint32_t{NODEWARD_REFUSE | NODEWARD_LOOK_AT_PORT});
  EXPECT_EQ(Written(At("10.0.0.2:80")), uint32_t{NODEWARD_CAPTURE});
  EXPECT_EQ(map_.Keys().size(), 3u);
}

TEST_F(DestinationsTest, WritesWhatIsOfTheMesh) {
  Destination pod, service;
  pod.address = Ip("10.0.0.1");
  service.address = Ip("10.96.0.1");
  service.action = Action::kRefuse;
  service.ports = {{80, Action::kCapture}};
  pod.of_mesh = service.of_mesh = true;
  ASSERT_TRUE(hooks_->SetDestinations({pod, service}).ok());
  const auto bits = [](uint32_t all) { return all; };
  EXPECT_EQ(Written({Ip("10.0.0.1"), 0}),
            bits(NODEWARD_CAPTURE | NODEWARD_OF_MESH));
  EXPECT_EQ(Written({Ip("10.96.0.1"), 0}),
            bits(NODEWARD_REFUSE | NODEWARD_LOOK_AT_PORT | NODEWARD_OF_MESH));
  EXPECT_EQ(Written(At("10.96.0.1:80")), bits(NODEWARD_CAPTURE));
  pod.of_mesh = false;
  ASSERT_TRUE(hooks_->SetDestinations({pod}).ok());
  EXPECT_EQ(Written({Ip("10.0.0.1"), 0}), bits(NODEWARD_CAPTURE));
}

TEST_F(DestinationsTest, BringsTheMapInLine) {
  ASSERT_TRUE(
      hooks_
          ->SetDestinations({{Ip("10.0.0.1"),
                              Action::kCapture,
                              {{80, Action::kRefuse}, {81, Action::kRefuse}}},
                             {Ip("fd00::1"), Action::kCapture, {}}})
          .ok());
  ASSERT_TRUE(
      hooks_
          ->SetDestinations(
              {{Ip("10.0.0.1"), Action::kCapture, {{81, Action::kCapture}}}})
          .ok());
  EXPECT_EQ(Written({Ip("fd00::1"), 0}), 0u);
  EXPECT_EQ(Written(At("10.0.0.1:80")), 0u);
  EXPECT_EQ(Written(At("10.0.0.1:81")), uint32_t{NODEWARD_CAPTURE});
  ASSERT_TRUE(hooks_->SetDestinations({}).ok());
  EXPECT_TRUE(map_.Keys().empty());
}

TEST_F(DestinationsTest, OnlyDifferencesAreWritten) {
  std::vector<Destination> same = {{Ip("10.0.0.1"), Action::kCapture, {}}};
  ASSERT_TRUE(hooks_->SetDestinations(same).ok());
  // A change that nobody told of stays, since nothing is written.
  nodeward_destination_key key{};
  key.address = ToAbi(Ip("10.0.0.1"));
  ASSERT_TRUE(map_.Set(key, {NODEWARD_REFUSE}).ok());
  ASSERT_TRUE(hooks_->SetDestinations(same).ok());
  EXPECT_EQ(Written({Ip("10.0.0.1"), 0}), uint32_t{NODEWARD_REFUSE});
}

TEST_F(DestinationsTest, NextAgentReadsWhatTheFormerWrote) {
  ASSERT_TRUE(hooks_
                  ->SetDestinations({{Ip("10.0.0.1"), Action::kCapture, {}},
                                     {Ip("10.0.0.2"), Action::kCapture, {}}})
                  .ok());
  hooks_.reset();
  Start();
  ASSERT_TRUE(
      hooks_->SetDestinations({{Ip("10.0.0.2"), Action::kRefuse, {}}}).ok());
  EXPECT_EQ(Written({Ip("10.0.0.1"), 0}), 0u);
  EXPECT_EQ(Written({Ip("10.0.0.2"), 0}), uint32_t{NODEWARD_REFUSE});
}

TEST_F(DestinationsTest, FullMapClosesAndNamesWhatDidNotFit) {
  std::vector<Destination> many;
  for (uint32_t i = 0; i < 270000; ++i)
    many.push_back(
        {base::IpAddress::V4(htonl(0x0b000000 + i)), Action::kCapture, {}});
  base::Status status = hooks_->SetDestinations(many);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status.ToString();
  EXPECT_THAT(status.ToString(), HasSubstr("Left out: 11."));
  EXPECT_EQ(Settings().capture_unknown, 1u);
  EXPECT_EQ(map_.Keys().size(), 262144u);
  many.resize(1000);
  ASSERT_TRUE(hooks_->SetDestinations(many).ok());
  EXPECT_EQ(Settings().capture_unknown, 0u);
  EXPECT_EQ(map_.Keys().size(), 1000u);
}

TEST_F(DestinationsTest, MeshCidrsAreAskedOnlyWhenThereAreSome) {
  EXPECT_EQ(Settings().mesh_cidrs, 0u);
  ASSERT_TRUE(hooks_->SetMeshCidrs({*base::Cidr::Parse("10.0.0.0/8")}).ok());
  EXPECT_EQ(Settings().mesh_cidrs, 1u);
  ASSERT_TRUE(hooks_->SetMeshCidrs({}).ok());
  EXPECT_EQ(Settings().mesh_cidrs, 0u);
}

TEST_F(DestinationsTest, TooManyMeshCidrsCloseAndAreNamed) {
  std::vector<base::Cidr> cidrs;
  for (int i = 0; i < 1100; ++i)
    cidrs.push_back(*base::Cidr::Parse(
        base::StrCat("10.", i / 256, ".", i % 256, ".0/24")));
  base::Status status = hooks_->SetMeshCidrs(cidrs);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status.ToString();
  EXPECT_THAT(status.ToString(), HasSubstr("Left out: 10.4."));
  EXPECT_EQ(Settings().capture_unknown, 1u);
  cidrs.resize(10);
  ASSERT_TRUE(hooks_->SetMeshCidrs(cidrs).ok());
  EXPECT_EQ(Settings().capture_unknown, 0u);
}

}  // namespace
}  // namespace nodeward::kernel
