// SPDX-License-Identifier: Apache-2.0
#include "capture/listeners.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "capture/netns_fixture.h"
#include "capture/tcp_sockets.h"

namespace nodeward::capture {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ListenersTest : public testing::Test {
 protected:
  base::StatusOr<Listeners> Open(const TestPod& pod) {
    return OpenListeners(pod.netns(), node_.netns(), own_);
  }
  TestNode node_;
  absl::flat_hash_set<uint64_t> own_;
};

TEST_F(ListenersTest, WhatIsHandedOverIsLookedAt) {
  TestPod pod(node_, {.number = 2});
  TestPod other(node_, {.number = 3});
  auto opened = Open(pod);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(CheckListeners(*opened, pod.netns().cookie()).ok());
  EXPECT_THAT(
      std::string(CheckListeners(*opened, other.netns().cookie()).message()),
      HasSubstr("no such listening socket"));
  opened->outbound6.Reset();  // as in a pod without IPv6
  EXPECT_TRUE(CheckListeners(*opened, pod.netns().cookie()).ok());
  std::swap(opened->outbound4, opened->inbound4);
  EXPECT_FALSE(CheckListeners(*opened, pod.netns().cookie()).ok());
  std::swap(opened->outbound4, opened->inbound4);
  opened->hbone = pod.Connect(At("127.0.0.1:15008"));
  EXPECT_FALSE(CheckListeners(*opened, pod.netns().cookie()).ok());
  opened->hbone.Reset();
  EXPECT_FALSE(CheckListeners(*opened, pod.netns().cookie()).ok());
}

TEST_F(ListenersTest, ListenWhereTheyShould) {
  TestPod pod(node_, {.number = 2});
  TestPod other(node_, {.number = 3});
  const auto opened = Open(pod);
  ASSERT_TRUE(opened.ok()) << opened.status();
  for (const base::Fd* fd :
       {&opened->outbound4, &opened->outbound6, &opened->inbound4,
        &opened->inbound6, &opened->hbone}) {
    ASSERT_TRUE(fd->valid());
    EXPECT_NE(fcntl(fd->get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
    int mark = -1;
    socklen_t length = sizeof(mark);
    getsockopt(fd->get(), SOL_SOCKET, SO_MARK, &mark, &length);
    EXPECT_EQ(mark, 0);
  }
  // Outbound: all of 127/8, as the connect hook spreads over it.
  for (const char* to : {"127.0.0.1:15001", "127.200.3.4:15001", "[::1]:15001",
                         "127.0.0.1:15006", "[::1]:15006", "127.0.0.1:15008"}) {
    EXPECT_TRUE(pod.Connect(At(to)).valid()) << to;
  }
  for (const char* to : {"10.77.0.2:15008", "[fd77::2]:15008"}) {
    EXPECT_TRUE(other.Connect(At(to)).valid()) << to;
  }
  for (const char* to : {"10.77.0.2:15001", "10.77.0.2:15006",
                         "[fd77::2]:15001", "[fd77::2]:15006"}) {
    EXPECT_FALSE(other.Connect(At(to)).valid()) << to;
    EXPECT_EQ(errno, ECONNREFUSED) << to;
  }
}

TEST_F(ListenersTest, QueueIsLong) {
  TestPod pod(node_, {});
  const auto opened = Open(pod);
  ASSERT_TRUE(opened.ok()) << opened.status();
  std::vector<base::Fd> clients;
  for (int i = 0; i < 2000; ++i) {
    clients.push_back(pod.Connect(At("127.0.0.1:15006")));
    ASSERT_TRUE(clients.back().valid()) << i;
  }
}

TEST_F(ListenersTest, WithoutIpv6TheyAreOfIpv4) {
  TestPod pod(node_, {.number = 2, .ipv6 = false});
  TestPod other(node_, {.number = 3});
  const auto opened = Open(pod);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_FALSE(opened->outbound6.valid());
  EXPECT_FALSE(opened->inbound6.valid());
  EXPECT_TRUE(opened->hbone.valid());
  EXPECT_TRUE(other.Connect(At("10.77.0.2:15008")).valid());
}

TEST_F(ListenersTest, StandBesideOwnOnes) {
  TestPod pod(node_, {});
  auto first = Open(pod);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(Open(pod).status().code(), absl::StatusCode::kAlreadyExists);
  for (const uint64_t cookie : CookiesOf(*first)) own_.insert(cookie);
  EXPECT_EQ(own_.size(), 5u);
  auto second = Open(pod);
  ASSERT_TRUE(second.ok()) << second.status();
  *first = {};
  EXPECT_TRUE(pod.Connect(At("127.0.0.1:15001")).valid());
}

TEST_F(ListenersTest, TheApplicationsPortIsNamedWithItsHolder) {
  TestPod pod(node_, {});
  for (const bool reuse_port : {false, true}) {
    for (const char* at : {"0.0.0.0:15008", "[::]:15001", "10.77.0.2:15006"}) {
      const base::Fd taken = pod.Listen(At(at), reuse_port);
      const auto opened = Open(pod);
      EXPECT_EQ(opened.status().code(), absl::StatusCode::kAlreadyExists) << at;
      EXPECT_THAT(std::string(opened.status().message()),
                  AllOf(HasSubstr(std::to_string(At(at).port)),
                        HasSubstr("pid " + std::to_string(getpid())),
                        HasSubstr("move it to another port")));
    }
  }
  EXPECT_TRUE(Open(pod).ok());
}

TEST_F(ListenersTest, ConnectionsOfAFormerAgentDoNotHoldThePorts) {
  TestPod pod(node_, {});
  auto first = Open(pod);
  ASSERT_TRUE(first.ok()) << first.status();
  base::Fd client = pod.Connect(At("127.0.0.1:15006"));
  base::Fd accepted = AcceptOne(first->inbound4.get());
  accepted.Reset();  // FIN_WAIT here, then TIME_WAIT
  *first = {};
  const auto second = Open(pod);
  EXPECT_TRUE(second.ok()) << second.status();
}

}  // namespace
}  // namespace nodeward::capture
