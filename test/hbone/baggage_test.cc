// SPDX-License-Identifier: Apache-2.0
#include "hbone/baggage.h"

#include <gtest/gtest.h>

namespace nodeward::hbone {
namespace {

TEST(BaggageTest, NamesTheSource) {
  model::Workload source;
  source.name_space = "full";
  source.workload_name = "sleep";
  source.canonical_service = "sleep";
  source.canonical_revision = "v1";
  const auto headers =
      SourceHeaders(*base::Endpoint::Parse("[fd00::7]:4000"), source);
  ASSERT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers[0].name, "forwarded");
  EXPECT_EQ(headers[0].value, "for=\"[fd00::7]:4000\"");
  EXPECT_EQ(headers[1].name, "baggage");
  EXPECT_EQ(headers[1].value,
            "k8s.namespace.name=full,k8s.deployment.name=sleep,"
            "service.name=sleep,service.version=v1");
}

TEST(BaggageTest, WhatIsNoPlainNameIsLeftOut) {
  model::Workload source;
  source.name_space = "full";
  source.workload_name = "a,k8s.namespace.name=kube-system";
  source.canonical_service = "line\r\nbreak";
  const auto headers =
      SourceHeaders(*base::Endpoint::Parse("10.0.0.1:1"), source);
  ASSERT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers[1].value, "k8s.namespace.name=full");
}

TEST(BaggageTest, WithoutNamesThereIsNone) {
  const auto headers = SourceHeaders(*base::Endpoint::Parse("10.0.0.1:1"), {});
  EXPECT_EQ(headers.size(), 1u);
}

}  // namespace
}  // namespace nodeward::hbone
