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

TEST(SandboxInfo, AsCriOTellsIt) {
  // CRI-O 1.30, shortened. By default a sandbox has no process of its own, and
  // then neither image nor pid are told.
  constexpr char kSpec[] =
      R"("runtimeSpec":{"ociVersion":"1.2.0","hostname":"web-0",)"
      R"("annotations":{"io.kubernetes.cri-o.HostNetwork":"false"},"linux":{)"
      R"("cgroupsPath":"kubepods-burstable-podf0.slice:crio:83","namespaces":)"
      R"([{"type":"pid"},{"type":"mount"},{"type":"network","path":)"
      R"("/var/run/netns/5f2b7e3c-0b6e-4d1e-9a55-6b1f0f4c9f11"},{"type":"ipc",)"
      R"("path":"/var/run/ipcns/5f2b7e3c-0b6e-4d1e-9a55-6b1f0f4c9f11"},)"
      R"({"type":"uts","path":"/var/run/utsns/5f2b7e3c-0b6e-4d1e-9a55-)"
      R"(6b1f0f4c9f11"}],"maskedPaths":["/proc/acpi"]}}})";
  for (const char* start :
       {"{", R"({"image":"registry.k8s.io/pause:3.10","pid":4711,)"}) {
    const auto netns = NetnsOfInfo(std::string(start) + kSpec);
    ASSERT_TRUE(netns.ok()) << netns.status();
    EXPECT_EQ(*netns, "/var/run/netns/5f2b7e3c-0b6e-4d1e-9a55-6b1f0f4c9f11");
  }
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
