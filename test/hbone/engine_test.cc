// SPDX-License-Identifier: Apache-2.0
//
// The whole path in one process: application -> outbound -> tunnel -> inbound
// -> application, over two engines.
#include "hbone/engine.h"

#include <future>
#include <numeric>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "hbone/engine_fixture.h"
#include "hbone/program.h"

namespace nodeward::hbone {
namespace {

using observe::Outcome;
using observe::Security;
using ::testing::HasSubstr;

class PathTest : public EngineTest {
 protected:
  void Begin() {
    client = MakePod("client");
    server = MakePod("server");
    Publish();
    Enrol(a(), client);
    Enrol(b(), server);
  }
  base::Endpoint App() const { return ApplicationOf(At(server)); }

  TestPod client;
  TestPod server;
};

TEST_F(PathTest, BytesGoThroughUnderMutualTls) {
  Begin();
  Server app(App(), Echo);
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("hello"));
  EXPECT_EQ(tcp.Receive(5), "hello");
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);

  const auto out = a().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->reporter, observe::Reporter::kSource);
  EXPECT_EQ(out->security, Security::kMutualTls);
  EXPECT_EQ(*out->source_identity, client.workload->identity);
  EXPECT_EQ(*out->destination_identity, server.workload->identity);
  EXPECT_EQ(out->bytes_sent, 5u);
  EXPECT_EQ(out->bytes_received, 5u);
  EXPECT_EQ(out->destination, At(server));
  const auto in = b().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(in.has_value());
  EXPECT_EQ(in->reporter, observe::Reporter::kDestination);
  EXPECT_EQ(*in->source_identity, client.workload->identity);
  EXPECT_EQ(in->source.address, client.ip);
  EXPECT_EQ(in->source_workload->name, "client");
  EXPECT_EQ(in->bytes_sent, 5u);
  EXPECT_EQ(in->bytes_received, 5u);
  EXPECT_EQ(a().flows.opened().size(), 1u);
  EXPECT_EQ(b().flows.opened().size(), 1u);
}

TEST_F(PathTest, IPv6IsTheSame) {
  for (const char* address : {"fd00::9:1", "fd00::9:2", "fd00::1:2"}) {
    Program add({"ip", "-6", "address", "add", std::string(address) + "/128",
                 "dev", "lo", "nodad"});
    ASSERT_EQ(add.ExitStatus(), 0);
  }
  client = MakePodAt("client", *base::IpAddress::Parse("fd00::9:1"));
  server = MakePodAt("server", *base::IpAddress::Parse("fd00::9:2"));
  Publish();
  Enrol(a(), client);
  Enrol(b(), server);
  std::promise<base::Endpoint> seen;
  Server app(App(), [&](Tcp tcp) {
    seen.set_value(tcp.peer());
    Echo(std::move(tcp));
  });
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("hello"));
  EXPECT_EQ(tcp.Receive(5), "hello");
  EXPECT_EQ(seen.get_future().get().address, client.ip);
  EXPECT_EQ(b().flows.opened().at(0).security, Security::kMutualTls);
}

TEST_F(PathTest, TheServerSeesTheClientsAddress) {
  Begin();
  std::promise<base::Endpoint> seen;
  Server app(App(), [&](Tcp tcp) {
    seen.set_value(tcp.peer());
    Echo(std::move(tcp));
  });
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("x"));
  EXPECT_EQ(tcp.Receive(1), "x");
  EXPECT_EQ(seen.get_future().get().address, client.ip);
}

TEST_F(PathTest, ServerMaySpeakFirst) {
  Begin();
  Server app(App(), [](Tcp tcp) {
    tcp.Send("220 ready");
    EXPECT_EQ(tcp.Receive(4), "QUIT");
    tcp.Send("221 bye");
  });
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(tcp.Receive(9), "220 ready");
  ASSERT_TRUE(tcp.Send("QUIT"));
  EXPECT_EQ(tcp.Receive(7), "221 bye");
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
}

TEST_F(PathTest, LargeStreamsArriveWhole) {
#ifdef NDEBUG
  constexpr uint64_t kSize = uint64_t{1} << 30;
#else
  constexpr uint64_t kSize = uint64_t{128} << 20;
#endif
  Begin();
  Server app(App(), Echo);
  Tcp tcp = Connect(client, At(server));
  std::string chunk(1 << 20, 0);
  for (size_t i = 0; i < chunk.size(); ++i) {
    chunk[i] = static_cast<char>((i * 2654435761u) >> 13);
  }
  std::thread writer([&] {
    for (uint64_t sent = 0; sent < kSize; sent += chunk.size()) {
      ASSERT_TRUE(tcp.Send(chunk));
    }
    tcp.Finish();
  });
  uint64_t received = 0;
  while (received < kSize) {
    const std::string got = tcp.Receive(chunk.size());
    ASSERT_EQ(got.size(), chunk.size());
    ASSERT_TRUE(got == chunk) << "at " << received;
    received += got.size();
  }
  writer.join();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
}

TEST_F(PathTest, EachDirectionEndsForItself) {
  Begin();
  Server app(App(), [](Tcp tcp) {
    uint64_t count = 0;
    EXPECT_EQ(tcp.AwaitEnd(&count), Ending::kFin);
    EXPECT_EQ(count, 7u);
    tcp.Send("answer after the client's end");
  });
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("request"));
  tcp.Finish();
  EXPECT_EQ(tcp.Receive(29), "answer after the client's end");
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
}

TEST_F(PathTest, ServerMayEndFirst) {
  Begin();
  std::promise<std::string> rest;
  Server app(App(), [&](Tcp tcp) {
    tcp.Send("done");
    tcp.Finish();
    rest.set_value(tcp.Receive(5));
  });
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(tcp.Receive(100), "done");
  ASSERT_TRUE(tcp.Send("still"));
  EXPECT_EQ(rest.get_future().get(), "still");
}

TEST_F(PathTest, ResetOfTheClientResetsTheServer) {
  Begin();
  std::promise<std::string> text;
  std::promise<Ending> ending;
  Server app(App(), [&](Tcp tcp) {
    text.set_value(tcp.Receive(5));
    ending.set_value(tcp.AwaitEnd());
  });
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("hello"));
  EXPECT_EQ(text.get_future().get(), "hello");  // a reset may overtake it
  ASSERT_TRUE(Await([&] { return !b().flows.opened().empty(); }));
  tcp.Reset();
  EXPECT_EQ(ending.get_future().get(), Ending::kReset);
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kReset).has_value());
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kReset).has_value());
}

TEST_F(PathTest, ResetOfTheServerResetsTheClient) {
  Begin();
  Server app(App(), [](Tcp tcp) {
    EXPECT_EQ(tcp.Receive(5), "hello");
    tcp.Reset();
  });
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("hello"));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
}

TEST_F(PathTest, AClientThatSendsAndClosesIsHeard) {
  Begin();
  std::promise<std::string> heard;
  Server app(App(), [&](Tcp tcp) { heard.set_value(tcp.Receive(1000)); });
  {
    Tcp tcp = Connect(client, At(server));
    ASSERT_TRUE(tcp.Send(std::string(1000, 'm')));
  }
  EXPECT_EQ(heard.get_future().get(), std::string(1000, 'm'));
}

TEST_F(PathTest, ASleepingReaderStopsTheWriter) {
  Begin();
  absl::Notification wake;
  std::promise<uint64_t> read;
  Server app(App(), [&](Tcp tcp) {
    wake.WaitForNotification();
    uint64_t count = 0;
    EXPECT_EQ(tcp.AwaitEnd(&count), Ending::kFin);
    read.set_value(count);
  });
  Tcp tcp = Connect(client, At(server));
  constexpr uint64_t kOffered = uint64_t{300} << 20;
  const uint64_t taken = tcp.FillUp(kOffered, 1000);
  EXPECT_LT(taken, uint64_t{64} << 20);
  // One stream's window, and what one tunnel may have on its way to a socket.
  EXPECT_LE(
      a().engine->load().buffered_bytes + b().engine->load().buffered_bytes,
      uint64_t{2} << 20);
  wake.Notify();
  tcp.Finish();
  EXPECT_EQ(read.get_future().get(), taken);
}

TEST_F(PathTest, ASleepingReaderDoesNotStopOthersOfItsTunnel) {
  options.workers = 1;
  Begin();
  absl::Notification wake;
  std::atomic<int> number{0};
  Server app(App(), [&](Tcp tcp) {
    if (number++ == 0) {
      wake.WaitForNotification();
      tcp.AwaitEnd();
    } else {
      Echo(std::move(tcp));
    }
  });
  Tcp sleeper = Connect(client, At(server));
  sleeper.FillUp(uint64_t{100} << 20, 500);
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("hello"));
  EXPECT_EQ(tcp.Receive(5), "hello");
  wake.Notify();
}

TEST_F(PathTest, AnAbortWhileTheReaderSleepsIsNoticed) {
  Begin();
  absl::Notification wake;
  std::promise<Ending> ending;
  Server app(App(), [&](Tcp tcp) {
    wake.WaitForNotification();
    ending.set_value(tcp.AwaitEnd());
  });
  Tcp tcp = Connect(client, At(server));
  tcp.FillUp(uint64_t{100} << 20, 500);
  tcp.Reset();
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kReset).has_value());
  wake.Notify();
  EXPECT_EQ(ending.get_future().get(), Ending::kReset);
}

TEST_F(PathTest, AClosedPortIsAResetAtOnce) {
  Begin();
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto out = a().flows.AwaitClosed(Outcome::kTunnelRefused);
  ASSERT_TRUE(out.has_value());
  EXPECT_THAT(out->detail, HasSubstr("503"));
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kUpstreamRefused).has_value());
}

TEST_F(PathTest, AnUnreachableAgentIsAReset) {
  client = MakePod("client");
  server = MakePod("server");  // nobody listens on its 15008
  Publish();
  Enrol(a(), client);
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kUpstreamRefused).has_value());
}

TEST_F(PathTest, ThePeerMustBeTheWorkloadsIdentity) {
  Begin();
  // The pod that answers proves another ServiceAccount than the source's
  // snapshot says.
  auto other = std::make_shared<model::Workload>(*server.workload);
  model::Identity proven = other->identity;
  proven.service_account = "trustworthy";
  other->identity = proven;
  auto snapshot = std::make_shared<model::Snapshot>();
  snapshot->trust_domain = "cluster.local";
  snapshot->workloads = {client.workload, other};
  snapshot->Finish();
  absl::Notification known;
  a().engine->SetSnapshot(snapshot, [&] { known.Notify(); });
  ASSERT_TRUE(known.WaitForNotificationWithTimeout(absl::Seconds(30)));
  Tcp tcp = Connect(client, At(server));
  tcp.Send("secret");  // or the reset was faster
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto out = a().flows.AwaitClosed(Outcome::kTlsFailure);
  ASSERT_TRUE(out.has_value());
  EXPECT_THAT(out->detail, HasSubstr("/sa/server"));
  EXPECT_EQ(server.network->dialled.load(), 0);
}

TEST_F(PathTest, WithoutACertificateItWaitsThenGoes) {
  client = MakePod("client");
  server = MakePod("server");
  Publish();
  Enrol(a(), client, /*with_credential=*/false);
  Enrol(b(), server);
  Server app(App(), Echo);
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("hello"));
  EXPECT_TRUE(tcp.StaysOpen(100));
  EXPECT_EQ(app.accepted(), 0);
  GiveCredential(a(), client.workload->identity);
  EXPECT_EQ(tcp.Receive(5), "hello");
}

TEST_F(PathTest, ARenewedCertificateServesNewConnections) {
  Begin();
  Server app(App(), Echo);
  Tcp old = Connect(client, At(server));
  ASSERT_TRUE(old.Send("a"));
  EXPECT_EQ(old.Receive(1), "a");
  GiveCredential(a(), client.workload->identity);
  GiveCredential(b(), server.workload->identity);
  // The workers hear of it in their own time; connections made before still
  // share the old tunnel.
  const absl::Time limit = absl::Now() + absl::Seconds(30);
  while (b().engine->load().tunnels < 2 && absl::Now() < limit) {
    Tcp renewed = Connect(client, At(server));
    ASSERT_TRUE(renewed.Send("b"));
    EXPECT_EQ(renewed.Receive(1), "b");
  }
  EXPECT_GE(b().engine->load().tunnels, 2u);
  ASSERT_TRUE(old.Send("c"));
  EXPECT_EQ(old.Receive(1), "c");
}

TEST_F(PathTest, SomebodyElseOnTheAgentsPortIsReset) {
  Begin();
  Tcp tcp(ConnectFrom({client.ip, 0}, client.outbound));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(
      a().flows.AwaitClosed(Outcome::kNoOriginalDestination).has_value());
}

TEST_F(PathTest, DestinationsOutsideTheMeshGetPlaintext) {
  Begin();
  auto legacy = MakePod("legacy");
  legacy.workload->membership = model::Membership::kNotOptedIn;
  Publish();
  Server app(At(legacy), Echo);
  Tcp tcp = Connect(client, At(legacy));
  ASSERT_TRUE(tcp.Send("hello"));
  EXPECT_EQ(tcp.Receive(5), "hello");
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  const auto flow = a().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->security, Security::kPlaintext);
  EXPECT_EQ(flow->bytes_sent, 5u);
}

TEST_F(PathTest, APlaintextDestinationThatRefusesIsAReset) {
  Begin();
  Tcp tcp = Connect(client, {*base::IpAddress::Parse("127.7.7.7"), 9});
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kUpstreamRefused).has_value());
}

TEST_F(PathTest, UnknownMeshAddressesAreHeldAndNothingIsSent) {
  options.mesh_cidrs = {*base::Cidr::Parse("127.0.0.0/16")};
  Begin();
  TestPod late = MakePod("late");
  Server nobody(At(late, 9090), Echo);  // plaintext would arrive here
  Tcp tcp = Connect(client, At(late, 9090));
  ASSERT_TRUE(tcp.Send("secret"));
  EXPECT_TRUE(tcp.StaysOpen(100));
  EXPECT_EQ(nobody.accepted(), 0);
  Enrol(b(), late);
  Server app(ApplicationOf(At(late, 9090)), Echo);
  Publish();  // now it is known
  EXPECT_EQ(tcp.Receive(6), "secret");
  EXPECT_EQ(nobody.accepted(), 0);
}

TEST_F(PathTest, AServiceDoesNotLeadToAnUnknownMeshAddressInPlaintext) {
  options.mesh_cidrs = {*base::Cidr::Parse("127.0.0.0/16")};
  options.hold = absl::Milliseconds(50);
  Begin();
  TestPod late = MakePod("late");
  workloads.pop_back();           // its EndpointSlice came first
  Server nobody(At(late), Echo);  // plaintext would arrive here
  auto service = std::make_shared<model::Service>();
  service->name = "early";
  service->name_space = "full";
  service->cluster_ips = {*base::IpAddress::Parse("127.200.0.2")};
  service->ports.push_back({"", 80, {}, false, {{At(late), nullptr}}});
  services = {service};
  Publish();
  Tcp tcp = Connect(client, {service->cluster_ips[0], 80});
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto flow = a().flows.AwaitClosed(Outcome::kNoRoute);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->service, service);
  EXPECT_EQ(nobody.accepted(), 0);
}

TEST_F(PathTest, WhatStaysUnknownIsReset) {
  options.mesh_cidrs = {*base::Cidr::Parse("127.0.0.0/16")};
  options.hold = absl::Milliseconds(50);
  Begin();
  Tcp tcp = Connect(client, {*base::IpAddress::Parse("127.0.77.7"), 80});
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kNoRoute).has_value());
}

TEST_F(PathTest, AServiceWithoutEndpointIsRefused) {
  Begin();
  auto service = std::make_shared<model::Service>();
  service->name = "empty";
  service->name_space = "full";
  service->cluster_ips = {*base::IpAddress::Parse("127.200.0.1")};
  model::ServicePort port;
  port.port = 80;
  service->ports = {port};
  services = {service};
  Publish();
  Tcp tcp = Connect(client, {service->cluster_ips[0], 80});
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto flow = a().flows.AwaitClosed(Outcome::kNoRoute);
  ASSERT_TRUE(flow.has_value());
  EXPECT_THAT(flow->detail, HasSubstr("full/empty"));
}

TEST_F(PathTest, AServicesAddressLeadsToItsEndpoint) {
  Begin();
  auto service = std::make_shared<model::Service>();
  service->name = "web";
  service->name_space = "full";
  service->cluster_ips = {*base::IpAddress::Parse("127.200.0.2")};
  model::ServicePort port;
  port.port = 8000;
  port.ready = {{At(server), server.workload}};
  service->ports = {port};
  services = {service};
  Publish();
  Server app(App(), Echo);
  Tcp tcp = Connect(client, {service->cluster_ips[0], 8000});
  ASSERT_TRUE(tcp.Send("hello"));
  EXPECT_EQ(tcp.Receive(5), "hello");
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  const auto out = a().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->service->name, "web");
  EXPECT_EQ(out->upstream, At(server));
  const auto in = b().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(in.has_value());
  EXPECT_EQ(in->service->name, "web");
}

TEST_F(PathTest, AnEndpointThatRefusesIsNotTheLastWord) {
  Begin();
  // One is in the mesh, and its application refuses; one is not, and does so
  // itself; the third one serves.
  TestPod dead = MakePod("dead");
  TestPod legacy = MakePod("legacy");
  legacy.workload->membership = model::Membership::kNotOptedIn;
  Enrol(b(), dead);
  auto service = std::make_shared<model::Service>();
  service->name = "web";
  service->name_space = "full";
  service->cluster_ips = {*base::IpAddress::Parse("127.200.0.2")};
  model::ServicePort port;
  port.port = 8000;
  port.ready = {{At(dead), dead.workload},
                {At(legacy), legacy.workload},
                {At(server), server.workload}};
  service->ports = {port};
  services = {service};
  Publish();
  std::optional<Server> app;
  app.emplace(App(), Echo);
  for (int i = 0; i < 12; ++i) {
    Tcp tcp = Connect(client, {service->cluster_ips[0], 8000});
    ASSERT_TRUE(tcp.Send("hello"));
    ASSERT_EQ(tcp.Receive(5), "hello") << i;
    tcp.Finish();
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  }
  ASSERT_TRUE(Await([this] { return a().flows.closed().size() == 12; }));
  for (const observe::Flow& flow : a().flows.closed()) {
    EXPECT_EQ(flow.outcome, Outcome::kClosed);
    EXPECT_EQ(flow.upstream, At(server));
    EXPECT_EQ(flow.security, Security::kMutualTls);
  }
  app.reset();
  Tcp tcp = Connect(client, {service->cluster_ips[0], 8000});
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(Await([this] { return a().flows.closed().size() == 13; }));
}

TEST_F(PathTest, AThousandConnectionsShareTunnels) {
  Begin();
  Server app(App(), Echo);
  std::vector<Tcp> all;
  for (int i = 0; i < 1000; ++i) {
    all.push_back(Connect(client, At(server)));
    ASSERT_TRUE(all.back().Send(std::to_string(i) + "\n"));
  }
  for (int i = 0; i < 1000; ++i) {
    const std::string mine = std::to_string(i) + "\n";
    ASSERT_EQ(all[i].Receive(mine.size()), mine) << i;
  }
  const Engine::Load load = a().engine->load();
  EXPECT_EQ(load.connections, 1000u);
  EXPECT_GE(load.tunnels, 10u);
  EXPECT_LE(load.tunnels, 24u);  // two workers, 100 streams each
  // Tunnels that were full take new connections again.
  for (Tcp& tcp : all) tcp.Finish();
  for (Tcp& tcp : all) EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  EXPECT_TRUE(Await([&] { return a().engine->load().connections == 0; }));
  Tcp again = Connect(client, At(server));
  ASSERT_TRUE(again.Send("x"));
  EXPECT_EQ(again.Receive(1), "x");
  EXPECT_LE(a().engine->load().tunnels, load.tunnels);
}

TEST_F(PathTest, UnusedTunnelsAreGivenUp) {
  options.tunnel_idle = absl::Milliseconds(50);
  Begin();
  Server app(App(), Echo);
  {
    Tcp tcp = Connect(client, At(server));
    ASSERT_TRUE(tcp.Send("x"));
    EXPECT_EQ(tcp.Receive(1), "x");
    EXPECT_EQ(a().engine->load().tunnels, 1u);
  }
  EXPECT_TRUE(Await([&] {
    return a().engine->load().tunnels == 0 && b().engine->load().tunnels == 0;
  }));
}

TEST_F(PathTest, SilenceOfAnOpenConnectionIsNoReasonToEnd) {
  options.ping_interval = absl::Milliseconds(30);
  options.ping_timeout = absl::Milliseconds(2000);
  options.tunnel_idle = absl::Milliseconds(60);
  Begin();
  Server app(App(), Echo);
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("x"));
  EXPECT_EQ(tcp.Receive(1), "x");
  EXPECT_TRUE(tcp.StaysOpen(500));
  ASSERT_TRUE(tcp.Send("y"));
  EXPECT_EQ(tcp.Receive(1), "y");
}

TEST_F(PathTest, ManyShortConnectionsLeaveNothingBehind) {
  Begin();
  Server app(App(), Echo);
  for (int i = 0; i < 300; ++i) {
    Tcp tcp = Connect(client, At(server));
    ASSERT_TRUE(tcp.Send("ping"));
    ASSERT_EQ(tcp.Receive(4), "ping");
    if (i % 3 == 0) tcp.Reset();
  }
  EXPECT_TRUE(Await([&] {
    return a().engine->load().connections == 0 &&
           b().engine->load().connections == 0;
  }));
  EXPECT_EQ(a().engine->load().buffered_bytes, 0u);
  EXPECT_EQ(a().flows.closed().size(), 300u);
  EXPECT_TRUE(Await([&] { return b().flows.closed().size() == 300u; }));
}

}  // namespace
}  // namespace nodeward::hbone
