// SPDX-License-Identifier: Apache-2.0
#include "hbone/mesh_view.h"

#include <gtest/gtest.h>

namespace nodeward::hbone {
namespace {

TEST(MeshViewTest, FindsPodsOwnersAndServices) {
  auto live = std::make_shared<model::Workload>();
  live->uid = "live";
  live->ips = {*base::IpAddress::Parse("10.0.0.1")};
  live->membership = model::Membership::kEnabled;
  auto ended = std::make_shared<model::Workload>();
  ended->uid = "ended";
  ended->ips = {*base::IpAddress::Parse("10.0.0.2")};
  ended->membership = model::Membership::kTerminal;
  auto service = std::make_shared<model::Service>();
  model::ServicePort port;
  port.port = 8000;
  port.ready = {{*base::Endpoint::Parse("10.0.0.1:80"), live}};
  service->ports = {port};

  auto snapshot = std::make_shared<model::Snapshot>();
  snapshot->workloads = {live, ended};
  snapshot->services = {service};
  snapshot->Finish();
  const MeshView view(snapshot);
  EXPECT_EQ(view.FindPod("live"), live);
  EXPECT_EQ(view.FindPod("ended"), ended);
  EXPECT_EQ(view.FindPod("nobody"), nullptr);
  EXPECT_EQ(view.FindOwner(live->ips[0]), live);
  EXPECT_EQ(view.FindOwner(ended->ips[0]), nullptr);
  EXPECT_EQ(view.FindServing(*live, 80), service);
  EXPECT_EQ(view.FindServing(*live, 81), nullptr);
}

}  // namespace
}  // namespace nodeward::hbone
