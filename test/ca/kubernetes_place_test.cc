// SPDX-License-Identifier: Apache-2.0
#include "ca/kubernetes_place.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace nodeward::ca {
namespace {

class KubernetesPlaceTest : public testing::Test {
 protected:
  void TearDown() override {
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
  }
};

TEST_F(KubernetesPlaceTest, APodFindsItsOwn) {
  setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  const auto place = FindKubernetes({});
  ASSERT_TRUE(place.ok()) << place.status();
  EXPECT_EQ(place->api, "https://10.96.0.1:443");
  EXPECT_EQ(place->ca, "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
  EXPECT_EQ(place->token,
            "/var/run/secrets/kubernetes.io/serviceaccount/token");
}

TEST_F(KubernetesPlaceTest, AnIPv6AddressStandsInBrackets) {
  setenv("KUBERNETES_SERVICE_HOST", "fd96::1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  EXPECT_EQ(FindKubernetes({})->api, "https://[fd96::1]:443");
}

TEST_F(KubernetesPlaceTest, WhatIsGivenCounts) {
  setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  const auto place = FindKubernetes({"https://k:6443", "/c", "/t"});
  EXPECT_EQ(place->api, "https://k:6443");
  EXPECT_EQ(place->ca, "/c");
  EXPECT_EQ(place->token, "/t");
}

TEST_F(KubernetesPlaceTest, ATokenIsNotSentUnencrypted) {
  EXPECT_FALSE(FindKubernetes({}).ok());
  EXPECT_FALSE(FindKubernetes({"http://k", "", ""}).ok());
}

}  // namespace
}  // namespace nodeward::ca
