// SPDX-License-Identifier: Apache-2.0
#include "kube/pod_lookup.h"

#include <gmock/gmock.h>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

class PodLookupTest : public ApiTest {
 protected:
  PodObjects LookUp() {
    std::promise<PodObjects> found;
    loop_.Do([&] {
      LookUpPod(client_.get(), "full", "sleep", [&](PodObjects objects) {
        found.set_value(std::move(objects));
      });
    });
    return found.get_future().get();
  }
};

TEST_F(PodLookupTest, FindsBoth) {
  Set("GET /api/v1/namespaces/full", 200, R"({"a":1})");
  Set("GET /api/v1/namespaces/full/pods/sleep", 200, R"({"b":2})");
  const PodObjects objects = LookUp();
  EXPECT_TRUE(objects.transport.ok()) << objects.transport;
  EXPECT_EQ(objects.namespace_status, 200);
  EXPECT_EQ(objects.pod_status, 200);
  EXPECT_EQ(base::GetInt(objects.name_space, "a"), 1);
  EXPECT_EQ(base::GetInt(objects.pod, "b"), 2);
}

TEST_F(PodLookupTest, WhatIsNotThereIsNoError) {
  Set("GET /api/v1/namespaces/full", 200, "{}");
  const PodObjects objects = LookUp();
  EXPECT_TRUE(objects.transport.ok());
  EXPECT_EQ(objects.pod_status, 404);
}

TEST_F(PodLookupTest, NoWholeAnswerIsAnError) {
  Set("GET /api/v1/namespaces/full", 200, "{");
  EXPECT_FALSE(LookUp().transport.ok());
  StopServer(SIGKILL);
  EXPECT_FALSE(LookUp().transport.ok());
}

}  // namespace
}  // namespace nodeward::kube
