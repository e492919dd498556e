// SPDX-License-Identifier: Apache-2.0
//
// Port 15008 as an independent client, and a hostile one, sees it.
#include "hbone/inbound_tunnel.h"

#include <fstream>

#include "hbone/engine_fixture.h"
#include "hbone/inbound_stream.h"
#include "hbone/program.h"

namespace nodeward::hbone {
namespace {

using observe::Outcome;

uint64_t ResidentKilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6));
  }
  return 0;
}

class InboundTunnelTest : public EngineTest {
 protected:
  void Begin() {
    client = MakePod("client");
    server = MakePod("server");
    Publish();
    Enrol(b(), server);
  }
  std::vector<std::string> Client(const std::string& scenario) {
    auto words = PeerScript("tunnel_client.py");
    for (const std::string& word :
         {folder() + "/ca", folder(), client.ip.ToString(),
          server.ip.ToString(), std::to_string(kPort), scenario}) {
      words.push_back(word);
    }
    return words;
  }
  Tcp Raw() { return Tcp(ConnectFrom({client.ip, 0}, {server.ip, 15008})); }
  TestPod client;
  TestPod server;
};

class IndependentClientTest
    : public InboundTunnelTest,
      public ::testing::WithParamInterface<const char*> {};

TEST_P(IndependentClientTest, GoesAsItMust) {
  Begin();
  Server app(ApplicationOf(At(server)), Echo);
  Program program(Client(GetParam()));
  EXPECT_EQ(program.ExitStatus(), 0);
  EXPECT_TRUE(Await([&] { return b().engine->load().tunnels == 0; }));
  EXPECT_TRUE(Await([&] { return b().engine->load().connections == 0; }));
}

INSTANTIATE_TEST_SUITE_P(Scenarios, IndependentClientTest,
                         ::testing::Values("echo", "statuses", "many", "ping",
                                           "reset", "no_certificate",
                                           "foreign_ca", "foreign_domain",
                                           "no_alpn", "rapid_reset"),
                         [](const auto& scenario) {
                           return std::string(scenario.param);
                         });

TEST_F(InboundTunnelTest, RefusalsNameTheirCause) {
  Begin();
  Server app(ApplicationOf(At(server)), Echo);
  Program program(Client("statuses"));
  ASSERT_EQ(program.ExitStatus(), 0);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kReservedPort).has_value());
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kUpstreamRefused).has_value());
  const auto flow = b().flows.AwaitClosed(Outcome::kNoRoute);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->source.address, client.ip);
  EXPECT_EQ(flow->source_identity->service_account, "client");
}

TEST_F(InboundTunnelTest, APeerThatNeverReadsHoldsOnlyItsWindow) {
  Begin();
  std::atomic<uint64_t> taken{0};
  Server app(ApplicationOf(At(server)),
             [&](Tcp tcp) { taken = tcp.FillUp(uint64_t{300} << 20, 1000); });
  Program program(Client("never_reads"));
  ASSERT_EQ(program.ReadLine(), "connected");
  ASSERT_TRUE(Await([&] { return taken.load() > 0; }));
  // The sockets' buffers and one stream's window.
  EXPECT_LT(taken.load(), uint64_t{64} << 20);
  EXPECT_LE(b().engine->load().buffered_bytes, uint64_t{1} << 20);
  EXPECT_EQ(program.ExitStatus(), 0);
}

TEST_F(InboundTunnelTest, GarbageIsAnsweredByTheEnd) {
  Begin();
  for (const std::string& garbage :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(100'000, '\0'),
        std::string("\x16\x03\x01\xff\xff", 5) + std::string(70'000, 'x')}) {
    Tcp tcp = Raw();
    tcp.Send(garbage);
    EXPECT_NE(tcp.AwaitEnd(), Ending::kTimeout);
  }
  const auto flow = b().flows.AwaitClosed(Outcome::kTlsFailure);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->destination.port, 15008);
}

TEST_F(InboundTunnelTest, SilenceEndsAtTheDeadline) {
  options.handshake_timeout = absl::Milliseconds(100);
  Begin();
  Tcp silent = Raw();
  Tcp half = Raw();
  ASSERT_TRUE(half.Send(std::string("\x16\x03\x01\x02\x00\x01\x00", 7)));
  EXPECT_NE(silent.AwaitEnd(), Ending::kTimeout);
  EXPECT_NE(half.AwaitEnd(), Ending::kTimeout);
}

TEST_F(InboundTunnelTest, IdleConnectionsCostLittle) {
  options.handshake_timeout = absl::Minutes(10);
  Begin();
  Raw();  // whatever is made once
  const uint64_t before = ResidentKilobytes();
  std::vector<base::Fd> idle;
  constexpr int kCount =
      8'000;  // two descriptors each; the usual limit is 20 000
  for (int i = 0; i < kCount; ++i) {
    idle.push_back(ConnectFrom({client.ip, 0}, {server.ip, 15008}));
    ASSERT_TRUE(idle.back().valid()) << i;
  }
  ASSERT_TRUE(
      Await([&] { return b().engine->load().tunnels >= uint64_t{kCount}; }));
  EXPECT_LT(ResidentKilobytes() - before, uint64_t{kCount} * 4);
  // And others are served meanwhile.
  Server app(ApplicationOf(At(server)), Echo);
  Program program(Client("echo"));
  EXPECT_EQ(program.ExitStatus(), 0);
}

TEST_F(InboundTunnelTest, TooManyConnectionsAreReset) {
  options.max_connections_per_pod = 2;
  Begin();
  Tcp one = Raw();
  Tcp two = Raw();
  ASSERT_TRUE(Await([&] { return b().engine->load().tunnels == 2; }));
  Tcp three = Raw();
  EXPECT_EQ(three.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kLimit).has_value());
}

TEST(JudgeRequestTest, OnlyTheTunnelsOwnAddressMayBeAskedFor) {
  const auto address = *base::IpAddress::Parse("10.0.0.7");
  const auto status = [&](const std::string& method,
                          const std::string& authority) {
    return JudgeRequest({method, authority, {}}, address).status;
  };
  EXPECT_EQ(status("CONNECT", "10.0.0.7:80"), 200);
  EXPECT_EQ(status("GET", "10.0.0.7:80"), 400);
  EXPECT_EQ(status("CONNECT", "10.0.0.8:80"), 400);
  EXPECT_EQ(status("CONNECT", "127.0.0.1:80"), 400);
  EXPECT_EQ(status("CONNECT", "[::1]:80"), 400);
  EXPECT_EQ(status("CONNECT", "localhost:80"), 400);
  EXPECT_EQ(status("CONNECT", ""), 400);
  EXPECT_EQ(status("CONNECT", " 10.0.0.7:80"), 400);
  EXPECT_EQ(status("CONNECT", "user@10.0.0.7:80"), 400);
  EXPECT_EQ(status("CONNECT", "10.0.0.7:0"), 400);
  EXPECT_EQ(status("CONNECT", "10.0.0.7"), 503);
  EXPECT_EQ(status("CONNECT", "10.0.0.8"), 400);
  EXPECT_EQ(status("CONNECT", "10.0.0.7:15001"), 503);
  EXPECT_EQ(status("CONNECT", "10.0.0.7:15006"), 503);
  EXPECT_EQ(status("CONNECT", "10.0.0.7:15008"), 503);
  EXPECT_EQ(JudgeRequest({"CONNECT", "10.0.0.7:443", {}}, address).port, 443);
}

TEST(JudgeRequestTest, IPv6IsWrittenInBrackets) {
  const auto address = *base::IpAddress::Parse("fd00::7");
  EXPECT_EQ(JudgeRequest({"CONNECT", "[fd00::7]:80", {}}, address).port, 80);
  EXPECT_EQ(JudgeRequest({"CONNECT", "[fd00::7]", {}}, address).status, 503);
  EXPECT_EQ(JudgeRequest({"CONNECT", "[fd00::8]:80", {}}, address).status, 400);
}

}  // namespace
}  // namespace nodeward::hbone
