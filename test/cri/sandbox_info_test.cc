// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nodeward::cri {
namespace {

TEST(SandboxInfo, FindsTheNetworkNamespace) {
  // As containerd 1.6 writes it, shortened.
  const auto netns = NetnsOfInfo(
      R"({"pid":4711,"processStatus":"running","netNamespaceClosed":false,)"
      R"("runtimeSpec":{"ociVersion":"1.0.2-dev","linux":{"namespaces":[)"
      R"({"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},)"
      R"({"type":"network","path":"/var/run/netns/cni-1"}]}}})");
  ASSERT_TRUE(netns.ok()) << netns.status();
  EXPECT_EQ(*netns, "/var/run/netns/cni-1");
}

TEST(SandboxInfo, ASandboxInTheNodesOwnHasNone) {
  const auto netns = NetnsOfInfo(
      R"({"runtimeSpec":{"linux":{"namespaces":[{"type":"pid"}]}}})");
  ASSERT_TRUE(netns.ok()) << netns.status();
  EXPECT_EQ(*netns, "");
}

TEST(SandboxInfo, NothingIsGuessed) {
  for (const char* info :
       {"", "[]", "{}", R"({"runtimeSpec":null})",
        R"({"pid":4711,"runtimeSpec":{"linux":{}}})",
        R"({"runtimeSpec":{"linux":{"namespaces":[{"type":"network"}]}}})",
        R"({"runtimeSpec":{"linux":{"namespaces":)"
        R"([{"type":"network","path":"netns/x"}]}}})"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(NetnsOfInfo(info).status())) << info;
  }
}

}  // namespace
}  // namespace nodeward::cri
