// SPDX-License-Identifier: Apache-2.0
#include "capture/leftovers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "capture/enroller.h"
#include "capture/netns_fixture.h"
#include "capture/steering.h"

namespace nodeward::capture {
namespace {

bool Steered(const TestNode& node, const TestPod& pod) {
  return *HasSteering(pod.netns(), node.netns());
}

TEST(ForEachNetnsTest, FindsEachOnce) {
  TestNode node;
  TestPod named(node, {.number = 2});
  // Only a process is in this one.
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const bool ok = unshare(CLONE_NEWNET) == 0 && write(ready[1], "r", 1) == 1;
    if (!ok) _exit(1);
    for (;;) pause();
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto held = Netns::Open("/proc/" + std::to_string(pid) + "/ns/net");
  ASSERT_TRUE(held.ok()) << held.status();
  std::vector<uint64_t> cookies;
  ForEachNetns({named.path()}, [&](const std::string&, const Netns& netns) {
    cookies.push_back(netns.cookie());
  });
  EXPECT_EQ(std::count(cookies.begin(), cookies.end(), named.netns().cookie()),
            1);
  EXPECT_EQ(std::count(cookies.begin(), cookies.end(), (*held)->cookie()), 1);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
}

TEST(RemoveSteeringFromTest, TouchesTheNamedOnesOnly) {
  TestNode node;
  TestPod one(node, {.number = 2});
  TestPod two(node, {.number = 3});
  ASSERT_TRUE(InstallSteering(one.netns(), node.netns()).ok());
  ASSERT_TRUE(InstallSteering(two.netns(), node.netns()).ok());
  RemoveSteeringFrom(node.netns(), {one.netns().cookie()}, {});
  EXPECT_FALSE(Steered(node, one));
  EXPECT_TRUE(Steered(node, two));
}

TEST(RemoveEverythingTest, LeavesNoRuleOnThisNodeAndOthersAlone) {
  TestNode other_node;
  TestPod other(other_node, {.number = 2});
  ASSERT_TRUE(InstallSteering(other.netns(), other_node.netns()).ok());
  {
    TestNode node;
    TestPod one(node, {.number = 2});
    TestPod two(node, {.number = 3});
    ASSERT_TRUE(InstallSteering(one.netns(), node.netns()).ok());
    const auto removed = RemoveEverything("/run/no-such-bpf-folder");
    ASSERT_TRUE(removed.ok()) << removed.status();
    EXPECT_THAT(*removed, testing::ElementsAre(testing::HasSubstr("in /")));
    EXPECT_FALSE(Steered(node, one));
    EXPECT_EQ(
        *ReadSysctl(one.netns(), node.netns(), "net/ipv4/tcp_fwmark_accept"),
        0);
    const auto again = RemoveEverything("/run/no-such-bpf-folder");
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_THAT(*again, testing::IsEmpty());
  }
  EXPECT_TRUE(Steered(other_node, other));
}

}  // namespace
}  // namespace nodeward::capture
