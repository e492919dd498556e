// SPDX-License-Identifier: Apache-2.0
#include "capture/netns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "capture/netns_fixture.h"

namespace nodeward::capture {
namespace {

using testing::HasSubstr;

TEST(NetnsTest, CookiesTellNamespacesApart) {
  TestNode node;
  TestPod one(node, {.number = 2});
  TestPod two(node, {.number = 3});
  const auto again = Netns::Open(one.path());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->cookie(), one.netns().cookie());
  EXPECT_NE(one.netns().cookie(), two.netns().cookie());
  EXPECT_NE(one.netns().cookie(), node.netns().cookie());
}

TEST(NetnsTest, RunIsInsideAndComesBack) {
  TestNode node;
  TestPod pod(node, {});
  uint64_t inside = 0;
  const auto status = pod.netns().Run(node.netns(), [&]() -> base::Status {
    NODEWARD_ASSIGN(const NetnsPtr here, Netns::Own());
    inside = here->cookie();
    return absl::InternalError("from inside");
  });
  EXPECT_THAT(std::string(status.message()), HasSubstr("from inside"));
  EXPECT_EQ(inside, pod.netns().cookie());
  EXPECT_EQ((*Netns::Own())->cookie(), node.netns().cookie());
}

TEST(NetnsTest, MissingPathNamesPathAndRemedy) {
  const auto none = Netns::Open("/run/netns/no-such-pod");
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.status().message()),
              HasSubstr("/run/netns/no-such-pod"));
  EXPECT_THAT(std::string(none.status().message()),
              HasSubstr("nodeward.io/netns"));
}

TEST(NetnsTest, OtherFilesAreRefused) {
  for (const char* path : {"/proc/self/ns/mnt", "/etc/passwd", "/tmp"}) {
    const auto opened = Netns::Open(path);
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kInvalidArgument)
        << path << ": " << opened.status();
  }
}

TEST(NetnsTest, FifoDoesNotHang) {
  const std::string path = "/tmp/nwcap-fifo-" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(Netns::Open(path).ok());
  unlink(path.c_str());
}

TEST(NetnsTest, IsAtFollowsTheName) {
  TestNode node;
  TestPod pod(node, {});
  EXPECT_TRUE(pod.netns().IsAt(pod.path()));
  Sh("ip netns del " + pod.name());
  EXPECT_FALSE(pod.netns().IsAt(pod.path()));
  Sh("ip netns add " + pod.name());
  EXPECT_FALSE(pod.netns().IsAt(pod.path()));
}

}  // namespace
}  // namespace nodeward::capture
