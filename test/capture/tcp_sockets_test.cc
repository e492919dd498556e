// SPDX-License-Identifier: Apache-2.0
#include "capture/tcp_sockets.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "capture/netns_fixture.h"

namespace nodeward::capture {
namespace {

const TcpSocket* Find(const std::vector<TcpSocket>& all,
                      const base::Endpoint& local) {
  const auto found =
      std::find_if(all.begin(), all.end(),
                   [&](const TcpSocket& s) { return s.local == local; });
  return found == all.end() ? nullptr : &*found;
}

class TcpSocketsTest : public testing::Test {
 protected:
  TcpSocketsTest()
      : server_(node_, {.number = 2}), client_(node_, {.number = 3}) {}

  std::vector<TcpSocket> Connections(const TestPod& pod) {
    auto sockets = TcpSockets::OpenIn(pod.netns(), node_.netns());
    EXPECT_TRUE(sockets.ok()) << sockets.status();
    auto connections = sockets->Connections();
    EXPECT_TRUE(connections.ok()) << connections.status();
    return *connections;
  }
  base::Status DestroyAt(const TestPod& pod, const base::Endpoint& local) {
    auto sockets = TcpSockets::OpenIn(pod.netns(), node_.netns());
    const auto connections = Connections(pod);
    const TcpSocket* const one = Find(connections, local);
    if (one == nullptr) return absl::NotFoundError("not listed");
    return sockets->Destroy(*one);
  }

  TestNode node_;
  TestPod server_;
  TestPod client_;
};

TEST_F(TcpSocketsTest, ListensAndConnectionsAreKeptApart) {
  const base::Fd listener = server_.Listen(At("10.77.0.2:80"));
  const base::Fd client = client_.Connect(At("10.77.0.2:80"));
  ASSERT_TRUE(client.valid());
  const base::Fd accepted = AcceptOne(listener.get());
  auto sockets = TcpSockets::OpenIn(server_.netns(), node_.netns());
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  const auto listeners = sockets->Listeners();
  ASSERT_TRUE(listeners.ok()) << listeners.status();
  ASSERT_EQ(listeners->size(), 1u);
  EXPECT_EQ((*listeners)[0].local, At("10.77.0.2:80"));
  EXPECT_EQ((*listeners)[0].state, TcpState::kListen);
  EXPECT_EQ((*listeners)[0].uid, 0u);
  EXPECT_NE((*listeners)[0].cgroup, 0u);
  EXPECT_TRUE(sockets->Listeners(81)->empty());
  const auto connections = Connections(server_);
  ASSERT_EQ(connections.size(), 1u);
  EXPECT_EQ(connections[0].state, TcpState::kEstablished);
  EXPECT_EQ(connections[0].remote.address, client_.v4());
  uint64_t cookie = 0;
  socklen_t length = sizeof(cookie);
  ASSERT_EQ(getsockopt(accepted.get(), SOL_SOCKET, SO_COOKIE, &cookie, &length),
            0);
  EXPECT_EQ(connections[0].cookie, cookie);
}

TEST_F(TcpSocketsTest, CountersTellWhoOpened) {
  const base::Fd listener = server_.Listen(At("[::]:80"));
  for (const char* to : {"10.77.0.2:80", "[fd77::2]:80"}) {
    const base::Fd client = client_.Connect(At(to));
    ASSERT_TRUE(client.valid()) << to;
    const base::Fd accepted = AcceptOne(listener.get());
    const auto opener = [&](const TestPod& pod) {
      for (const TcpSocket& s : Connections(pod)) {
        if (s.state == TcpState::kEstablished) return s.opener;
      }
      return Opener::kUnknown;
    };
    EXPECT_EQ(opener(client_), Opener::kThisEnd) << to;
    EXPECT_EQ(opener(server_), Opener::kOtherEnd) << to;
    // With bytes both ways, the last of them not read.
    ASSERT_EQ(send(client.get(), "hello", 5, 0), 5);
    ASSERT_EQ(ReadByte(accepted.get()), 'h');
    ASSERT_EQ(send(accepted.get(), "world!", 6, 0), 6);
    ASSERT_EQ(ReadByte(client.get()), 'w');
    EXPECT_TRUE(Await([&] {
      return opener(client_) == Opener::kThisEnd &&
             opener(server_) == Opener::kOtherEnd;
    })) << to;
    // The client's FIN.
    shutdown(client.get(), SHUT_WR);
    EXPECT_TRUE(Await([&] {
      const auto all = Connections(server_);
      return std::any_of(all.begin(), all.end(), [](const TcpSocket& s) {
        return s.state == TcpState::kCloseWait && s.opener == Opener::kOtherEnd;
      });
    })) << to;
  }
}

TEST(OpenerOfTest, ReadsTheSum) {
  const auto established = TcpState::kEstablished;
  EXPECT_EQ(OpenerOf(established, 1, 0, 0, 0, 0), Opener::kThisEnd);
  EXPECT_EQ(OpenerOf(established, 0, 0, 0, 0, 0), Opener::kOtherEnd);
  // 1000 bytes sent, 400 acknowledged, 300 sent twice, 50 more queued.
  EXPECT_EQ(OpenerOf(established, 401, 1300, 300, 650, 50), Opener::kThisEnd);
  EXPECT_EQ(OpenerOf(established, 400, 1300, 300, 650, 50), Opener::kOtherEnd);
  EXPECT_EQ(OpenerOf(established, 405, 1300, 300, 650, 50), Opener::kUnknown);
  EXPECT_EQ(OpenerOf(TcpState::kFinWait2, 1, 0, 0, 0, 0), Opener::kUnknown);
  EXPECT_EQ(OpenerOf(TcpState::kSynSent, 0, 0, 0, 0, 0), Opener::kThisEnd);
  EXPECT_EQ(OpenerOf(TcpState::kSynReceived, 0, 0, 0, 0, 0), Opener::kOtherEnd);
}

TEST_F(TcpSocketsTest, DestroysEveryKindOfConnection) {
  const base::Fd v4 = server_.Listen(At("10.77.0.2:80"));
  const base::Fd any = server_.Listen(At("[::]:81"));
  // v4, v4-mapped, v6; accepted or not.
  for (const char* to : {"10.77.0.2:80", "10.77.0.2:81", "[fd77::2]:81"}) {
    for (const bool accept : {true, false}) {
      const base::Endpoint at = At(to);
      const base::Fd client = client_.Connect(at);
      ASSERT_TRUE(client.valid()) << to;
      base::Fd accepted;
      if (accept) accepted = AcceptOne(at.port == 80 ? v4.get() : any.get());
      ASSERT_TRUE(Await([&] {
        return Find(Connections(server_), at) != nullptr;
      })) << to;
      const base::Status status = DestroyAt(server_, at);
      EXPECT_TRUE(status.ok()) << to << ": " << status;
      errno = 0;
      EXPECT_EQ(ReadByte(client.get()), -1) << to;
      EXPECT_EQ(errno, ECONNRESET) << to;
      EXPECT_EQ(Find(Connections(server_), at), nullptr) << to;
      if (!accept) AcceptOne(at.port == 80 ? v4.get() : any.get());
    }
  }
}

TEST_F(TcpSocketsTest, DestroysEmbryonicConnections) {
  const base::Fd listener = server_.Listen(At("10.77.0.2:80"));
  // The answer to the SYN is lost, so the handshake does not end.
  Sh("ip -n " + client_.name() + " route add blackhole 10.99.0.0/24");
  Sh("ip -n " + client_.name() + " addr add 10.99.0.3/32 dev lo");
  base::Fd client;
  client_.Run([&] {
    client.Reset(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    sockaddr_storage address;
    socklen_t length = At("10.99.0.3:4000").ToSockaddr(&address);
    ASSERT_EQ(bind(client.get(), reinterpret_cast<sockaddr*>(&address), length),
              0);
    length = At("10.77.0.2:80").ToSockaddr(&address);
    connect(client.get(), reinterpret_cast<sockaddr*>(&address), length);
  });
  ASSERT_TRUE(Await([&] {
    const auto all = Connections(server_);
    const TcpSocket* const one = Find(all, At("10.77.0.2:80"));
    return one != nullptr && one->state == TcpState::kSynReceived;
  }));
  const base::Status status = DestroyAt(server_, At("10.77.0.2:80"));
  EXPECT_TRUE(status.ok()) << status;
  // The client's SYN goes on being sent, so look for the very request.
  client.Reset();
  EXPECT_TRUE(Await([&] {
    return DestroyAt(server_, At("10.77.0.2:80")).code() ==
           absl::StatusCode::kNotFound;
  }));
}

TEST_F(TcpSocketsTest, CookieKeepsTheListenerFromHarm) {
  const base::Fd listener = server_.Listen(At("10.77.0.2:80"));
  base::Fd client = client_.Connect(At("10.77.0.2:80"));
  ASSERT_TRUE(client.valid());
  base::Fd accepted = AcceptOne(listener.get());
  const auto before = Connections(server_);
  const TcpSocket* const one = Find(before, At("10.77.0.2:80"));
  ASSERT_NE(one, nullptr);
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(accepted.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  accepted.Reset();
  auto sockets = TcpSockets::OpenIn(server_.netns(), node_.netns());
  EXPECT_EQ(sockets->Destroy(*one).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(client_.Connect(At("10.77.0.2:80")).valid());
}

}  // namespace
}  // namespace nodeward::capture
