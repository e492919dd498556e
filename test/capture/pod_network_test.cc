// SPDX-License-Identifier: Apache-2.0
#include "capture/pod_network.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "capture/fake_hooks.h"
#include "capture/netns_fixture.h"
#include "capture/steering.h"
#include "io/socket.h"

namespace nodeward::capture {
namespace {

// OK once connected, or why not.
base::Status Outcome(int fd) {
  pollfd one{.fd = fd, .events = POLLOUT, .revents = 0};
  if (poll(&one, 1, 20'000) != 1) return absl::DeadlineExceededError("slow");
  return io::ConnectResult(fd);
}

class PodNetworkTest : public testing::Test {
 protected:
  PodNetworkTest()
      : pod_(node_, {}),
        hooks_(std::make_shared<FakeHooks>()),
        network_(pod_.ptr(), node_.ptr(), hooks_, pod_.ips()) {
    EXPECT_TRUE(InstallSteering(pod_.netns(), node_.netns()).ok());
  }

  TestNode node_;
  TestPod pod_;
  std::shared_ptr<FakeHooks> hooks_;
  PodNetwork network_;
};

TEST_F(PodNetworkTest, OutgoingSocketsAreThePodsAndTagged) {
  const base::Fd listener = pod_.Listen(At("127.0.0.1:80"));
  const auto fd = network_.OpenOutgoing(AF_INET);
  ASSERT_TRUE(fd.ok()) << fd.status();
  ASSERT_TRUE(io::StartConnect(fd->get(), At("127.0.0.1:80")).ok());
  EXPECT_TRUE(Outcome(fd->get()).ok());
  EXPECT_EQ(hooks_->With([&] { return hooks_->tagged; }), 1);
  EXPECT_EQ(network_.cookie(), pod_.netns().cookie());
  EXPECT_EQ((*Netns::Own())->cookie(), node_.netns().cookie());
}

TEST_F(PodNetworkTest, WithoutTheTagThereIsNoSocket) {
  hooks_->Fail("TagAgentSocket");
  EXPECT_FALSE(network_.OpenOutgoing(AF_INET).ok());
  EXPECT_FALSE(network_.ConnectOnward(Ip("10.9.9.9"), At("10.77.0.2:80")).ok());
}

TEST_F(PodNetworkTest, TheApplicationSeesTheClientAndAnswersIt) {
  const base::Fd v4 = pod_.Listen(At("10.77.0.2:80"));
  const base::Fd v6 = pod_.Listen(At("[fd77::2]:80"));
  // On the node's link, behind the gateway, and on no route at all.
  for (const char* client : {"10.77.0.9", "10.123.4.5", "fd77::9", "fd12::5"}) {
    const base::IpAddress address = Ip(client);
    const bool is_v4 = address.is_v4();
    const auto fd = network_.ConnectOnward(
        address, At(is_v4 ? "10.77.0.2:80" : "[fd77::2]:80"));
    ASSERT_TRUE(fd.ok()) << client << ": " << fd.status();
    const base::Status outcome = Outcome(fd->get());
    ASSERT_TRUE(outcome.ok()) << client << ": " << outcome;
    base::Endpoint peer;
    const base::Fd accepted = AcceptOne((is_v4 ? v4 : v6).get(), &peer);
    EXPECT_EQ(peer.address, address);
    EXPECT_TRUE(peer.port < 32768 || peer.port >= 61000) << peer.port;
    ASSERT_EQ(send(accepted.get(), "!", 1, 0), 1);
    EXPECT_EQ(ReadByte(fd->get()), '!');
    ASSERT_EQ(send(fd->get(), "?", 1, 0), 1);
    EXPECT_EQ(ReadByte(accepted.get()), '?');
  }
}

TEST_F(PodNetworkTest, AClosedPortIsRefusedAtOnce) {
  for (const auto& [client, application] :
       {std::pair{"10.77.0.9", "10.77.0.2:81"},
        std::pair{"fd77::9", "[fd77::2]:81"},
        std::pair{"10.77.0.2", "10.77.0.2:81"}}) {
    const auto fd = network_.ConnectOnward(Ip(client), At(application));
    ASSERT_TRUE(fd.ok()) << client << ": " << fd.status();
    EXPECT_EQ(Outcome(fd->get()).code(), absl::StatusCode::kUnavailable)
        << client;
  }
}

TEST_F(PodNetworkTest, ThePodsOwnAddressIsAnOrdinaryConnection) {
  const base::Fd listener = pod_.Listen(At("[::]:80"));
  Sh("ip -n " + pod_.name() + " addr add 10.77.0.200/24 dev eth0");
  network_.SetAddresses({pod_.v4(), pod_.v6(), Ip("10.77.0.200")});
  for (const char* client : {"10.77.0.2", "10.77.0.200", "127.0.0.1"}) {
    const auto fd = network_.ConnectOnward(Ip(client), At("10.77.0.2:80"));
    ASSERT_TRUE(fd.ok()) << fd.status();
    EXPECT_TRUE(Outcome(fd->get()).ok()) << client;
    int mark = -1;
    socklen_t length = sizeof(mark);
    getsockopt(fd->get(), SOL_SOCKET, SO_MARK, &mark, &length);
    EXPECT_EQ(mark, 0);
    base::Endpoint peer;
    const base::Fd accepted = AcceptOne(listener.get(), &peer);
    EXPECT_EQ(peer.address, Ip("10.77.0.2"));
  }
}

TEST_F(PodNetworkTest, CapturedPortsAreNotUsed) {
  const base::Fd listener = pod_.Listen(At("10.77.0.2:80"));
  for (uint16_t port = 61000; port < 61010; ++port) {
    network_.Captured({Ip("10.77.0.9"), port});
  }
  const auto fd = network_.ConnectOnward(Ip("10.77.0.9"), At("10.77.0.2:80"));
  ASSERT_TRUE(fd.ok()) << fd.status();
  EXPECT_EQ(io::LocalEndpoint(fd->get())->port, 61010);
  for (uint16_t port = 61000; port < 61010; ++port) {
    network_.Released({Ip("10.77.0.9"), port});
  }
}

TEST_F(PodNetworkTest, PortsThatThePodListensOnArePassedOver) {
  const base::Fd listener = pod_.Listen(At("10.77.0.2:80"));
  const base::Fd busy = pod_.Listen(At("0.0.0.0:61000"));
  const auto fd = network_.ConnectOnward(Ip("10.77.0.9"), At("10.77.0.2:80"));
  ASSERT_TRUE(fd.ok()) << fd.status();
  EXPECT_NE(io::LocalEndpoint(fd->get())->port, 61000);
}

TEST_F(PodNetworkTest, FamiliesDoNotMix) {
  EXPECT_EQ(network_.ConnectOnward(Ip("10.77.0.9"), At("[fd77::2]:80"))
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(PodNetworkTest, OriginalDestinationIsTakenOnce) {
  hooks_->flows[{pod_.netns().cookie(), At("10.77.0.2:4000")}] =
      At("10.96.0.1:80");
  EXPECT_EQ(network_.TakeOriginalDestination(At("10.77.0.2:4000"),
                                             At("127.1.2.3:15001")),
            At("10.96.0.1:80"));
  EXPECT_FALSE(
      network_
          .TakeOriginalDestination(At("10.77.0.2:4000"), At("127.1.2.3:15001"))
          .has_value());
}

TEST_F(PodNetworkTest, CloseLetsTheNamespaceGo) {
  const base::Fd listener = pod_.Listen(At("10.77.0.2:80"));
  network_.Close();
  EXPECT_EQ(network_.OpenOutgoing(AF_INET).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(network_.ConnectOnward(Ip("10.77.0.9"), At("10.77.0.2:80"))
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(PodNetworkTest, ManyThreadsOpenAtOnce) {
  const base::Fd listener = pod_.Listen(At("10.77.0.2:80"));
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const auto fd =
            network_.ConnectOnward(Ip("10.77.0.9"), At("10.77.0.2:80"));
        if (fd.ok() && Outcome(fd->get()).ok()) ++good;
        network_.SetAddresses(pod_.ips());
      }
      const auto here = Netns::Own();
      if ((*here)->cookie() != node_.netns().cookie()) good = -1'000'000;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 800);
}

// 28 200 connections of one client to one port, all open at once. A process may
// have fewer descriptors than that, so several share the work, each with a
// PodNetwork of its own: their cursors collide, so that the retries count too.
TEST_F(PodNetworkTest, OneClientHoldsAWholeRangeOfConnections) {
  constexpr int kProcesses = 3;
  constexpr int kEach = 9400;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const base::Fd listener = pod_.Listen(At("10.77.0.2:80"));
  int failed[2];
  int release[2];
  ASSERT_EQ(pipe(failed), 0);
  ASSERT_EQ(pipe(release), 0);
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid > 0) {
      children.push_back(pid);
      continue;
    }
    std::vector<base::Fd> open;
    int bad = 0;
    for (int i = 0; i < kEach; ++i) {
      auto fd = network_.ConnectOnward(Ip("10.77.0.9"), At("10.77.0.2:80"));
      const base::Status status = fd.ok() ? Outcome(fd->get()) : fd.status();
      if (!status.ok()) {
        std::cerr << "connection " << i << ": " << status << "\n";
        ++bad;
        continue;
      }
      // The application's end is closed at once; ours stays and so its tuple.
      base::Fd accepted(accept(listener.get(), nullptr, nullptr));
      open.push_back(*std::move(fd));
    }
    char wait;
    if (write(failed[1], &bad, sizeof(bad)) != sizeof(bad)) _exit(1);
    close(release[1]);
    if (read(release[0], &wait, 1) != 0) _exit(1);
    _exit(0);
  }
  int bad = 0;
  for (int p = 0; p < kProcesses; ++p) {
    int one = -1;
    ASSERT_EQ(read(failed[0], &one, sizeof(one)), 4);
    bad += one;
  }
  EXPECT_EQ(bad, 0);
  close(release[1]);
  for (const pid_t pid : children) waitpid(pid, nullptr, 0);
  close(release[0]);
  close(failed[0]);
  close(failed[1]);
}

}  // namespace
}  // namespace nodeward::capture
