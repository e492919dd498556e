// SPDX-License-Identifier: Apache-2.0
#include "kube/in_cluster.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace nodeward::kube {
namespace {

TEST(InCluster, ServerIsThatOfThePodsEnvironment) {
  setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  EXPECT_EQ(ServerOfEnvironment(), "https://10.96.0.1:443");
  setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  EXPECT_EQ(ServerOfEnvironment(), "https://[fd00::1]:443");
  setenv("KUBERNETES_SERVICE_PORT", "", 1);
  EXPECT_EQ(ServerOfEnvironment(), "");
  unsetenv("KUBERNETES_SERVICE_HOST");
  unsetenv("KUBERNETES_SERVICE_PORT");
  EXPECT_EQ(ServerOfEnvironment(), "");
}

}  // namespace
}  // namespace nodeward::kube
