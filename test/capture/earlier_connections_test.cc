// SPDX-License-Identifier: Apache-2.0
#include "capture/earlier_connections.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "capture/fake_hooks.h"
#include "capture/netns_fixture.h"
#include "capture/pod_network.h"
#include "capture/steering.h"

namespace nodeward::capture {
namespace {

TcpSocket Socket(std::string_view local, std::string_view remote,
                 Opener opener = Opener::kUnknown,
                 TcpState state = TcpState::kEstablished) {
  TcpSocket socket;
  socket.local = At(local);
  socket.remote = At(remote);
  socket.opener = opener;
  socket.state = state;
  return socket;
}

TcpSocket Listener(std::string_view local, bool v6_only = false) {
  TcpSocket socket;
  socket.local = At(local);
  socket.state = TcpState::kListen;
  socket.v6_only = v6_only;
  return socket;
}

bool Counts(const TcpSocket& socket, std::vector<TcpSocket> listeners,
            std::vector<TcpSocket> others = {}) {
  others.push_back(socket);
  for (const TcpSocket& found :
       InboundConnections(others, listeners, {Ip("10.0.0.2"), Ip("fd00::2")})) {
    if (found.local == socket.local && found.remote == socket.remote) {
      return true;
    }
  }
  return false;
}

TEST(InboundConnectionsTest, AListenerOnThePortMakesItInbound) {
  const auto outgoing = Opener::kThisEnd;
  const TcpSocket four = Socket("10.0.0.2:80", "10.0.0.9:4000", outgoing);
  EXPECT_TRUE(Counts(four, {Listener("10.0.0.2:80")}));
  EXPECT_TRUE(Counts(four, {Listener("0.0.0.0:80")}));
  EXPECT_TRUE(Counts(four, {Listener("[::]:80")}));
  EXPECT_FALSE(Counts(four, {Listener("[::]:80", true)}));
  EXPECT_FALSE(Counts(four, {Listener("0.0.0.0:81")}));
  EXPECT_FALSE(Counts(four, {Listener("127.0.0.1:80")}));
  const TcpSocket six = Socket("[fd00::2]:80", "[fd00::9]:4000", outgoing);
  EXPECT_TRUE(Counts(six, {Listener("[::]:80", true)}));
  EXPECT_FALSE(Counts(six, {Listener("0.0.0.0:80")}));
}

TEST(InboundConnectionsTest, WithoutListenerOnlyAnOutgoingOneIsLeftAlone) {
  const char* const local = "10.0.0.2:45000";
  const char* const remote = "10.0.0.9:5432";
  EXPECT_FALSE(Counts(Socket(local, remote, Opener::kThisEnd), {}));
  EXPECT_TRUE(Counts(Socket(local, remote, Opener::kOtherEnd), {}));
  EXPECT_TRUE(Counts(Socket(local, remote, Opener::kUnknown), {}));
}

TEST(InboundConnectionsTest, LocalTrafficIsLeftAlone) {
  const std::vector<TcpSocket> listeners = {Listener("[::]:80")};
  EXPECT_FALSE(Counts(Socket("127.0.0.1:80", "127.0.0.1:4000"), listeners));
  EXPECT_FALSE(Counts(Socket("[::1]:80", "[::1]:4000"), listeners));
  EXPECT_FALSE(Counts(Socket("10.0.0.2:80", "10.0.0.2:4000"), listeners));
  // An agent's onward connection: both ends are here.
  EXPECT_FALSE(Counts(Socket("10.0.0.2:80", "10.0.0.9:61000"), listeners,
                      {Socket("10.0.0.9:61000", "10.0.0.2:80")}));
  EXPECT_FALSE(Counts(Socket("10.0.0.2:15008", "10.0.0.9:4000"), listeners));
}

class EarlierConnectionsTest : public testing::Test {
 protected:
  EarlierConnectionsTest()
      : pod_(node_, {.number = 2}), client_(node_, {.number = 3}) {}

  base::Status Collect() {
    return earlier_.Collect(pod_.netns(), node_.netns(), pod_.ips());
  }
  base::Status Destroy(const EarlierConnections::Forbids& forbids) {
    return earlier_.Destroy(pod_.netns(), node_.netns(), forbids);
  }
  static bool Strict(const base::IpAddress&, uint16_t) { return true; }
  static bool Alive(const base::Fd& client) {
    char byte;
    return recv(client.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 &&
           errno == EAGAIN;
  }
  static bool AwaitReset(const base::Fd& client) {
    errno = 0;
    return ReadByte(client.get()) == -1 && errno == ECONNRESET;
  }

  TestNode node_;
  TestPod pod_;
  TestPod client_;
  EarlierConnections earlier_;
};

TEST_F(EarlierConnectionsTest, ForbiddenOnesAreDestroyedOthersGoOn) {
  const base::Fd listener = pod_.Listen(At("[::]:80"));
  const base::Fd other_listener = pod_.Listen(At("0.0.0.0:81"));
  const base::Fd mapped = client_.Connect(At("10.77.0.2:80"));
  const base::Fd six = client_.Connect(At("[fd77::2]:80"));
  const base::Fd permitted = client_.Connect(At("10.77.0.2:81"));
  ASSERT_TRUE(mapped.valid() && six.valid() && permitted.valid());
  const base::Fd accepted = AcceptOne(listener.get());
  // The pod's own: to itself, and outwards.
  const base::Fd self = pod_.Connect(At("10.77.0.2:81"));
  const base::Fd outside_listener = client_.Listen(At("10.77.0.3:99"));
  const base::Fd outgoing = pod_.Connect(At("10.77.0.3:99"));
  ASSERT_TRUE(self.valid() && outgoing.valid());

  ASSERT_TRUE(Collect().ok());
  EXPECT_EQ(earlier_.size(), 3u);
  const base::Fd later = client_.Connect(At("10.77.0.2:80"));
  const base::Status status =
      Destroy([](const base::IpAddress&, uint16_t port) { return port == 80; });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(AwaitReset(mapped));
  EXPECT_TRUE(AwaitReset(six));
  for (const base::Fd* fd : {&permitted, &self, &outgoing, &later}) {
    EXPECT_TRUE(Alive(*fd));
  }
  EXPECT_EQ(earlier_.size(), 1u);

  // Policy becomes stricter.
  ASSERT_TRUE(Destroy(&Strict).ok());
  EXPECT_TRUE(AwaitReset(permitted));
  EXPECT_TRUE(Alive(later));
  EXPECT_TRUE(Alive(self));
  EXPECT_TRUE(Alive(outgoing));
  EXPECT_EQ(earlier_.size(), 0u);
}

TEST_F(EarlierConnectionsTest, SourceCounts) {
  const base::Fd listener = pod_.Listen(At("0.0.0.0:80"));
  TestPod other(node_, {.number = 4});
  const base::Fd one = client_.Connect(At("10.77.0.2:80"));
  const base::Fd two = other.Connect(At("10.77.0.2:80"));
  ASSERT_TRUE(Collect().ok());
  ASSERT_TRUE(Destroy([](const base::IpAddress& source, uint16_t) {
                return source == Ip("10.77.0.4");
              }).ok());
  EXPECT_TRUE(AwaitReset(two));
  EXPECT_TRUE(Alive(one));
}

TEST_F(EarlierConnectionsTest, AServerThatStoppedListeningIsFound) {
  base::Fd listener = pod_.Listen(At("0.0.0.0:45678"));
  const base::Fd client = client_.Connect(At("10.77.0.2:45678"));
  const base::Fd accepted = AcceptOne(listener.get());
  listener.Reset();
  ASSERT_TRUE(Collect().ok());
  EXPECT_EQ(earlier_.size(), 1u);
  ASSERT_TRUE(Destroy(&Strict).ok());
  EXPECT_TRUE(AwaitReset(client));
}

TEST_F(EarlierConnectionsTest, HalfClosedOnesToo) {
  const base::Fd listener = pod_.Listen(At("0.0.0.0:80"));
  const base::Fd client = client_.Connect(At("10.77.0.2:80"));
  const base::Fd accepted = AcceptOne(listener.get());
  shutdown(client.get(), SHUT_WR);
  ASSERT_EQ(ReadByte(accepted.get()), -1);
  const base::Fd closer = client_.Connect(At("10.77.0.2:80"));
  const base::Fd closed = AcceptOne(listener.get());
  shutdown(closed.get(), SHUT_WR);
  ASSERT_EQ(ReadByte(closer.get()), -1);
  ASSERT_TRUE(Collect().ok());
  EXPECT_EQ(earlier_.size(), 2u);
  ASSERT_TRUE(Destroy(&Strict).ok());
  errno = 0;
  EXPECT_LT(send(accepted.get(), "x", 1, MSG_NOSIGNAL), 0);
}

TEST_F(EarlierConnectionsTest, ThoseThatEndedByThemselvesAreNoError) {
  const base::Fd listener = pod_.Listen(At("0.0.0.0:80"));
  base::Fd client = client_.Connect(At("10.77.0.2:80"));
  base::Fd accepted = AcceptOne(listener.get());
  ASSERT_TRUE(Collect().ok());
  client.Reset();
  accepted.Reset();
  EXPECT_TRUE(Destroy(&Strict).ok());
  EXPECT_EQ(earlier_.size(), 0u);
}

TEST_F(EarlierConnectionsTest, AnAgentsOnwardConnectionIsLeftAlone) {
  ASSERT_TRUE(InstallSteering(pod_.netns(), node_.netns()).ok());
  const base::Fd listener = pod_.Listen(At("0.0.0.0:80"));
  PodNetwork network(pod_.ptr(), node_.ptr(), std::make_shared<FakeHooks>(),
                     pod_.ips());
  const auto onward = network.ConnectOnward(client_.v4(), At("10.77.0.2:80"));
  ASSERT_TRUE(onward.ok()) << onward.status();
  const base::Fd accepted = AcceptOne(listener.get());
  ASSERT_TRUE(accepted.valid());
  ASSERT_TRUE(Collect().ok());
  EXPECT_EQ(earlier_.size(), 0u);
}

TEST_F(EarlierConnectionsTest, ManyAreDestroyed) {
  const base::Fd listener = pod_.Listen(At("0.0.0.0:80"));
  std::vector<base::Fd> clients;
  for (int i = 0; i < 1500; ++i) {
    clients.push_back(client_.Connect(At("10.77.0.2:80")));
    ASSERT_TRUE(clients.back().valid()) << i;
  }
  ASSERT_TRUE(Collect().ok());
  EXPECT_EQ(earlier_.size(), 1500u);
  ASSERT_TRUE(Destroy(&Strict).ok());
  for (const base::Fd& client : clients) ASSERT_TRUE(AwaitReset(client));
}

}  // namespace
}  // namespace nodeward::capture
