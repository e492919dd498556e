// SPDX-License-Identifier: Apache-2.0
#include "capture/steering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "capture/netns_fixture.h"

namespace nodeward::capture {
namespace {

using testing::UnorderedElementsAre;

class SteeringTest : public testing::Test {
 protected:
  int Value(const TestPod& pod, const char* name) {
    return ReadSysctl(pod.netns(), node_.netns(), name).value_or(-1);
  }
  int Lines(const std::string& command) {
    FILE* const pipe = popen((command + " 2>/dev/null | wc -l").c_str(), "r");
    int count = -1;
    EXPECT_EQ(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
  }
  int Rules(const TestPod& pod, const char* family) {
    return Lines("ip " + std::string(family) + " -n " + pod.name() +
                 " rule list pref 50");
  }
  int Routes(const TestPod& pod, const char* family) {
    return Lines("ip " + std::string(family) + " -n " + pod.name() +
                 " route list table 273");
  }

  TestNode node_;
};

TEST_F(SteeringTest, PutsEverythingInPlaceOnce) {
  TestPod pod(node_, {});
  for (int i = 0; i < 3; ++i) {
    const auto former = InstallSteering(pod.netns(), node_.netns());
    ASSERT_TRUE(former.ok()) << former.status();
    EXPECT_THAT(*former,
                UnorderedElementsAre(Sysctl{"net/ipv4/tcp_fwmark_accept", 0},
                                     Sysctl{"net/ipv4/fwmark_reflect", 0},
                                     Sysctl{"net/ipv6/fwmark_reflect", 0}));
  }
  for (const char* family : {"-4", "-6"}) {
    EXPECT_EQ(Rules(pod, family), 1) << family;
    EXPECT_EQ(Routes(pod, family), 1) << family;
  }
  EXPECT_EQ(Value(pod, "net/ipv4/tcp_fwmark_accept"), 1);
  EXPECT_EQ(Value(pod, "net/ipv4/fwmark_reflect"), 1);
  EXPECT_EQ(Value(pod, "net/ipv6/fwmark_reflect"), 1);
  EXPECT_TRUE(*HasSteering(pod.netns(), node_.netns()));
  EXPECT_FALSE(*HasSteering(node_.netns(), node_.netns()));
}

TEST_F(SteeringTest, RemovalRestoresFormerValues) {
  TestPod pod(node_, {});
  ASSERT_TRUE(
      WriteSysctls(pod.netns(), node_.netns(), {{"net/ipv4/fwmark_reflect", 1}})
          .ok());
  const auto former = InstallSteering(pod.netns(), node_.netns());
  ASSERT_TRUE(former.ok()) << former.status();
  for (int i = 0; i < 2; ++i) {
    const auto status = RemoveSteering(pod.netns(), node_.netns(), *former);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(Value(pod, "net/ipv4/tcp_fwmark_accept"), 0);
    EXPECT_EQ(Value(pod, "net/ipv4/fwmark_reflect"), 1);
    EXPECT_EQ(Rules(pod, "-4") + Rules(pod, "-6"), 0);
    EXPECT_EQ(Routes(pod, "-4") + Routes(pod, "-6"), 0);
    EXPECT_FALSE(*HasSteering(pod.netns(), node_.netns()));
  }
}

TEST_F(SteeringTest, WorksWithoutIpv6) {
  TestPod pod(node_, {.number = 2, .ipv6 = false});
  const auto former = InstallSteering(pod.netns(), node_.netns());
  ASSERT_TRUE(former.ok()) << former.status();
  EXPECT_EQ(Rules(pod, "-4"), 1);
  EXPECT_EQ(Rules(pod, "-6"), 0);
  EXPECT_TRUE(RemoveSteering(pod.netns(), node_.netns(), *former).ok());
}

TEST_F(SteeringTest, LoopbackThatIsDownIsNamed) {
  TestPod pod(node_, {});
  Sh("ip -n " + pod.name() + " link set lo down");
  const auto former = InstallSteering(pod.netns(), node_.netns());
  ASSERT_FALSE(former.ok());
  EXPECT_THAT(std::string(former.status().message()),
              testing::HasSubstr("is lo up in the pod?"));
}

}  // namespace
}  // namespace nodeward::capture
