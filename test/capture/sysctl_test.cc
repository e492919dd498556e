// SPDX-License-Identifier: Apache-2.0
#include "capture/sysctl.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <thread>

#include "base/fd.h"
#include "capture/netns_fixture.h"

namespace nodeward::capture {
namespace {

constexpr char kAccept[] = "net/ipv4/tcp_fwmark_accept";

TEST(SysctlTest, WritesInThePodOnly) {
  TestNode node;
  TestPod pod(node, {});
  const auto status = WriteSysctls(pod.netns(), node.netns(), {{kAccept, 1}});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(*ReadSysctl(pod.netns(), node.netns(), kAccept), 1);
  EXPECT_EQ(*ReadSysctl(node.netns(), node.netns(), kAccept), 0);
}

TEST(SysctlTest, AbsentSettingsAreLeftOut) {
  TestNode node;
  TestPod pod(node, {});
  const auto status = WriteSysctls(pod.netns(), node.netns(),
                                   {{"net/ipv4/no_such", 1}, {kAccept, 1}});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(*ReadSysctl(pod.netns(), node.netns(), kAccept), 1);
  EXPECT_EQ(
      ReadSysctl(pod.netns(), node.netns(), "net/ipv4/no_such").status().code(),
      absl::StatusCode::kNotFound);
}

// As in a container: a thread whose /proc/sys is read-only.
TEST(SysctlTest, ReadOnlyProcSysIsNoObstacle) {
  TestNode node;
  TestPod pod(node, {});
  base::Status status;
  int plain_error = 0;
  bool still_read_only = false;
  std::thread([&] {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(mount("", "/proc/sys", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY,
                    nullptr),
              0);
    const auto is_read_only = [&] {
      const base::Fd fd(open("/proc/sys/net/ipv4/ip_forward", O_WRONLY));
      plain_error = fd.valid() ? 0 : errno;
      return plain_error == EROFS;
    };
    ASSERT_TRUE(is_read_only());
    status = WriteSysctls(pod.netns(), node.netns(), {{kAccept, 1}});
    still_read_only = is_read_only();
  }).join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(still_read_only);
  EXPECT_EQ(*ReadSysctl(pod.netns(), node.netns(), kAccept), 1);
}

}  // namespace
}  // namespace nodeward::capture
