// SPDX-License-Identifier: Apache-2.0
#include "capture/leftovers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

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

// The whole node, so in a machine of its own as far as processes and named
// namespaces go: others' tests must not lose their rules.
int RemoveFromAPrivateMachine() {
  if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return 1;
  const pid_t pid = fork();
  if (pid != 0) {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
  }
  if (mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("proc", "/proc", "proc", 0, nullptr) != 0 ||
      mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0) {
    _exit(3);
  }
  int failures = 0;
  const auto expect = [&](bool good, const char* what) {
    if (good) return;
    ++failures;
    std::cerr << "not so: " << what << "\n";
  };
  TestNode node;
  TestPod one(node, {.number = 2});
  TestPod two(node, {.number = 3});
  expect(InstallSteering(one.netns(), node.netns()).ok(), "installed");
  const auto removed = RemoveEverything("/run/no-such-bpf-folder");
  expect(removed.ok(), "removed");
  if (!removed.ok()) std::cerr << removed.status() << "\n";
  expect(removed.ok() && removed->size() == 1 &&
             removed->front().find(one.path()) != std::string::npos,
         "the one pod is named");
  expect(!Steered(node, one), "steering is gone");
  expect(
      *ReadSysctl(one.netns(), node.netns(), "net/ipv4/tcp_fwmark_accept") == 0,
      "sysctl is back");
  const auto again = RemoveEverything("/run/no-such-bpf-folder");
  expect(again.ok() && again->empty(), "nothing is left");
  _exit(failures == 0 ? 0 : 4);
}

TEST(RemoveEverythingTest, LeavesNoRuleOnTheNode) {
  EXPECT_EXIT(_exit(RemoveFromAPrivateMachine()), testing::ExitedWithCode(0),
              "");
}

}  // namespace
}  // namespace nodeward::capture
