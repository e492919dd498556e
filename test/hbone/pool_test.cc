// SPDX-License-Identifier: Apache-2.0
//
// Client tunnels against peers that share no code with us, some of which
// misbehave.
#include "hbone/pool.h"

#include <sys/socket.h>

#include <array>

#include "base/fd.h"
#include "hbone/engine_fixture.h"
#include "hbone/program.h"

namespace nodeward::hbone {
namespace {

using observe::Outcome;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class PoolTest : public EngineTest {
 protected:
  void Begin(const std::string& mode) {
    options.workers = 1;
    client = MakePod("client");
    server = MakePod("server");
    Publish();
    Enrol(a(), client);
    auto words = PeerScript("fake_agent.py");
    for (const std::string& word :
         {folder() + "/ca", folder(), server.ip.ToString(), mode}) {
      words.push_back(word);
    }
    agent = std::make_unique<Program>(words);
    ASSERT_EQ(agent->ReadLine(), "listening");
  }
  std::string Ask(Tcp& tcp) { return tcp.Send("hello") ? tcp.Receive(5) : ""; }
  TestPod client;
  TestPod server;
  std::unique_ptr<Program> agent;
};

TEST_F(PoolTest, AnIndependentServerGetsWhatItExpects) {
  Begin("echo");
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(Ask(tcp), "hello");
  const std::string line = agent->ReadLine();
  EXPECT_THAT(line, StartsWith("CONNECT " + At(server).ToString() + " for=\"" +
                               client.ip.ToString() + ":"));
  EXPECT_THAT(line, HasSubstr("k8s.namespace.name=full"));
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
}

TEST_F(PoolTest, GoawayBeforeTheAnswerIsTriedAgain) {
  Begin("goaway");
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(Ask(tcp), "hello");
}

TEST_F(PoolTest, ARefusedStreamIsTriedAgain) {
  Begin("refuse");
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(Ask(tcp), "hello");
}

TEST_F(PoolTest, ATunnelThatBreaksBeforeTheAnswerIsTriedAgain) {
  Begin("drop");
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(Ask(tcp), "hello");
}

TEST_F(PoolTest, AStatusIsAReset) {
  Begin("status");
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto flow = a().flows.AwaitClosed(Outcome::kTunnelRefused);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail, HasSubstr("401"));
}

TEST_F(PoolTest, ThePeersLimitOfStreamsIsKept) {
  Begin("one");
  Tcp first = Connect(client, At(server));
  EXPECT_EQ(Ask(first), "hello");
  Tcp second = Connect(client, At(server));
  EXPECT_EQ(Ask(second), "hello");
  EXPECT_EQ(a().engine->load().tunnels, 2u);
  // A tunnel whose stream has ended takes another one.
  first.Finish();
  EXPECT_EQ(first.AwaitEnd(), Ending::kFin);
  ASSERT_TRUE(Await([&] { return a().engine->load().connections == 1; }));
  Tcp third = Connect(client, At(server));
  EXPECT_EQ(Ask(third), "hello");
  EXPECT_EQ(a().engine->load().tunnels, 2u);
}

TEST_F(PoolTest, ADeafPeerIsGivenUp) {
  options.ping_interval = absl::Milliseconds(50);
  options.ping_timeout = absl::Milliseconds(100);
  Begin("deaf");
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto flow = a().flows.AwaitClosed(Outcome::kTunnelLost);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail, HasSubstr("PING"));
}

TEST_F(PoolTest, TheAnswerIsAwaitedForALimitedTime) {
  options.connect_timeout = absl::Milliseconds(100);
  Begin("deaf");
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kUpstreamTimeout).has_value());
}

// A port at which connections are neither taken nor refused.
class Deaf {
 public:
  explicit Deaf(const base::Endpoint& at) {
    sockaddr_storage address;
    const socklen_t length = at.ToSockaddr(&address);
    const auto* const to = reinterpret_cast<const sockaddr*>(&address);
    const int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    listener_.Reset(socket(at.address.family(), type, 0));
    const int yes = 1;
    setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    EXPECT_EQ(bind(listener_.get(), to, length), 0);
    EXPECT_EQ(listen(listener_.get(), 0), 0);
    for (base::Fd& each : waiting_) {
      each.Reset(socket(at.address.family(), type, 0));
      (void)connect(each.get(), to, length);
    }
  }

 private:
  base::Fd listener_;
  std::array<base::Fd, 4> waiting_;  // more than it has room for
};

TEST_F(PoolTest, ANetworkPolicyThatStopsTunnelsIsNamed) {
  auto policy = std::make_shared<model::NetworkPolicy>();
  policy->name = "deny-all";
  policy->name_space = "full";
  policy->ingress.emplace();
  network_policies = {policy};
  options.workers = 1;
  options.connect_timeout = absl::Milliseconds(100);
  client = MakePod("client");
  server = MakePod("server");
  Publish();
  Enrol(a(), client);
  const std::string cause =
      "; NetworkPolicy full/deny-all selects the pod and does not allow TCP "
      "15008";
  EXPECT_EQ(Connect(client, At(server)).AwaitEnd(), Ending::kReset);
  auto flow = a().flows.AwaitClosed(Outcome::kUpstreamRefused);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail,
              AllOf(HasSubstr("onnection refused"), EndsWith(cause)));
  const Deaf deaf({server.ip, 15008});
  EXPECT_EQ(Connect(client, At(server)).AwaitEnd(), Ending::kReset);
  flow = a().flows.AwaitClosed(Outcome::kUpstreamTimeout);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->detail, "tunnel to " + server.ip.ToString() +
                              ":15008: connect: no answer" + cause);
}

TEST_F(PoolTest, WhereNoPolicyStopsATunnelNoneIsNamed) {
  options.workers = 1;
  options.connect_timeout = absl::Milliseconds(100);
  client = MakePod("client");
  server = MakePod("server");
  Publish();
  Enrol(a(), client);
  const Deaf deaf({server.ip, 15008});
  EXPECT_EQ(Connect(client, At(server)).AwaitEnd(), Ending::kReset);
  const auto flow = a().flows.AwaitClosed(Outcome::kUpstreamTimeout);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail,
              EndsWith("no answer (is TCP 15008 kept from the pod on the "
                       "way?)"));
}

TEST_F(PoolTest, AStreamsResetIsAnRst) {
  Begin("reset");
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("hello"));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kReset).has_value());
}

TEST_F(PoolTest, AStreamsEndIsAFin) {
  Begin("end");
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(Ask(tcp), "hello");
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
}

TEST_F(PoolTest, ALostPeerResetsItsConnections) {
  Begin("echo");
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(Ask(tcp), "hello");
  agent.reset();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kTunnelLost).has_value());
}

TEST_F(PoolTest, AnswersToFramesOfAnySizeArriveWhole) {
  Begin("echo");
  Tcp tcp = Connect(client, At(server));
  for (const size_t size : {1, 16'383, 16'384, 16'385, 65'527, 1'000'000}) {
    std::thread writer([&] { EXPECT_TRUE(tcp.Send(std::string(size, 'a'))); });
    EXPECT_EQ(tcp.Receive(size).size(), size);
    writer.join();
  }
}

}  // namespace
}  // namespace nodeward::hbone
