// SPDX-License-Identifier: Apache-2.0
//
// What arrives in no tunnel, under each mTLS mode.
#include "hbone/inbound_plain.h"

#include <poll.h>

#include <future>

#include "hbone/engine_fixture.h"
#include "tls/context.h"
#include "tls/session.h"

namespace nodeward::hbone {
namespace {

using model::MtlsMode;
using observe::Outcome;
using observe::Security;

// A client's side of TLS over a blocking socket.
class TlsClient {
 public:
  TlsClient(Tcp tcp, std::shared_ptr<const tls::Context> context,
            const model::Identity& expected)
      : tcp_(std::move(tcp)) {
    auto made = tls::Session::Create(std::move(context), {expected});
    EXPECT_TRUE(made.ok()) << made.status();
    session_ = *std::move(made);
  }

  bool Handshake() {
    for (;;) {
      const tls::Step step = session_->Handshake();
      Flush();
      if (step == tls::Step::kDone) return true;
      if (step != tls::Step::kWantInput || !Feed()) return false;
    }
  }
  bool Send(std::string_view bytes) {
    return session_->Write(base::AsBytes(bytes)).ok() && Flush();
  }
  // To the end when there are fewer than `count`.
  std::string Receive(size_t count) {
    std::string got;
    std::vector<uint8_t> room(1 << 16);
    while (got.size() < count) {
      size_t n = 0;
      const tls::Step step = session_->Read(room, &n);
      if (step == tls::Step::kDone) {
        got += base::AsText({room.data(), n});
      } else if (step != tls::Step::kWantInput || !Feed()) {
        last_ = step;
        break;
      }
    }
    return got;
  }
  void Finish() {
    session_->Close();
    Flush();
    tcp_.Finish();
  }
  bool ended_in_order() const { return last_ == tls::Step::kClosed; }
  const tls::Session& session() const { return *session_; }
  Tcp& tcp() { return tcp_; }

 private:
  bool Feed() {
    buffer_ = tcp_.Receive(1);
    if (buffer_.empty()) return false;
    session_->Feed(base::AsBytes(buffer_));
    session_->Retain();
    return true;
  }
  bool Flush() {
    const bool sent = tcp_.Send(base::AsText(session_->output()));
    session_->DropOutput(session_->output().size());
    return sent;
  }

  Tcp tcp_;
  std::unique_ptr<tls::Session> session_;
  std::string buffer_;
  tls::Step last_ = tls::Step::kDone;
};

class InboundPlainTest : public EngineTest {
 protected:
  void Begin(MtlsMode mode) {
    client = MakePod("client");
    server = MakePod("server");
    Enrol(a(), client);
    Enrol(b(), server);
    if (mode == MtlsMode::kUnset) {
      Publish();
    } else {
      Strict("server", mode);
    }
  }
  Tcp Legacy(uint16_t port = kPort) {
    return Tcp(ConnectFrom({*base::IpAddress::Parse("127.8.8.8"), 0},
                           At(server, port)));
  }
  base::Endpoint App() const { return ApplicationOf(At(server)); }
  TlsClient MeshTls(std::string_view as = "client") {
    const model::Identity identity{"cluster.local", "full", std::string(as)};
    if (a().credentials.Find(identity) == nullptr) {
      GiveCredential(a(), identity);
    }
    tls::Context::Options tls_options;
    tls_options.alpn = tls::Context::Options::Alpn::kIstio;
    auto context = tls::Context::Create(tls::Role::kClient, tls_options,
                                        a().credentials.Find(identity),
                                        a().credentials.bundle());
    EXPECT_TRUE(context.ok()) << context.status();
    return TlsClient(Legacy(), *context, server.workload->identity);
  }
  // A ClientHello that offers no mesh protocol, in one record.
  static std::string ForeignHello() {
    std::string body("\x03\x03", 2);
    body += std::string(32, 'r');
    body += std::string("\0\0\x02\x13\x01\x01\0\0\0", 9);
    const auto size = static_cast<char>(body.size());
    return std::string("\x16\x03\x01\0", 4) + static_cast<char>(size + 4) +
           std::string("\x01\0\0", 3) + size + body;
  }
  TestPod client;
  TestPod server;
};

TEST_F(InboundPlainTest, PermissivePassesPlaintext) {
  Begin(MtlsMode::kUnset);
  std::promise<base::Endpoint> seen;
  Server app(App(), [&](Tcp tcp) {
    seen.set_value(tcp.peer());
    Echo(std::move(tcp));
  });
  Tcp tcp = Legacy();
  ASSERT_TRUE(tcp.Send("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(tcp.Receive(18), "GET / HTTP/1.1\r\n\r\n");
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  EXPECT_EQ(seen.get_future().get().address.ToString(), "127.8.8.8");
  const auto flow = b().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->security, Security::kPlaintext);
  EXPECT_EQ(flow->bytes_sent, 18u);
  EXPECT_EQ(flow->bytes_received, 18u);
  EXPECT_EQ(flow->source_identity, nullptr);
  EXPECT_EQ(server.network->captured.load(), 0);
}

TEST_F(InboundPlainTest, PermissiveLetsTheServerSpeakFirst) {
  Begin(MtlsMode::kPermissive);
  Server app(App(), [](Tcp tcp) {
    tcp.Send("greeting");
    EXPECT_EQ(tcp.Receive(5), "login");
    tcp.Send("ok");
  });
  Tcp tcp = Legacy();
  EXPECT_EQ(tcp.Receive(8), "greeting");
  ASSERT_TRUE(tcp.Send("login"));
  EXPECT_EQ(tcp.Receive(2), "ok");
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
}

TEST_F(InboundPlainTest, APortKnownToBePlainDoesNotWait) {
  options.sniff_wait = absl::Hours(1);  // would be a hang
  client = MakePod("client");
  server = MakePod("server");
  server.workload->ports = {{"mysql", kPort, {model::Protocol::kTcp, true}}};
  Enrol(a(), client);
  Enrol(b(), server);
  Publish();
  Server app(App(), [](Tcp tcp) {
    tcp.Send("greeting");
    tcp.AwaitEnd();
  });
  Tcp tcp = Legacy();
  EXPECT_EQ(tcp.Receive(8), "greeting");
}

TEST_F(InboundPlainTest, InPermissiveAClientHelloBeatsAServerThatSpeaksFirst) {
  options.sniff_wait = absl::Hours(1);
  Begin(MtlsMode::kPermissive);
  Server app(App(), [](Tcp tcp) {
    tcp.Send("greeting");
    EXPECT_EQ(tcp.Receive(5), "login");
  });
  TlsClient tls = MeshTls();
  ASSERT_TRUE(tls.Handshake());
  EXPECT_EQ(tls.Receive(8), "greeting");
  ASSERT_TRUE(tls.Send("login"));
}

TEST_F(InboundPlainTest, StrictResetsPlaintextWithoutDialling) {
  Begin(MtlsMode::kStrict);
  Server app(App(), Echo);
  Tcp tcp = Legacy();
  ASSERT_TRUE(tcp.Send("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  const auto flow = b().flows.AwaitClosed(Outcome::kDeniedPlaintext);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->policy, "full/server");
  EXPECT_EQ(server.network->dialled.load(), 0);
  EXPECT_EQ(app.accepted(), 0);
  // It is told right after the RST.
  EXPECT_TRUE(Await([&] { return server.network->captured.load() == 0; }));
}

TEST_F(InboundPlainTest, StrictResetsASilentClientAtTheDeadline) {
  options.silent_deadline = absl::Milliseconds(100);
  Begin(MtlsMode::kStrict);
  Server app(App(), Echo);
  Tcp tcp = Legacy();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kSilent).has_value());
  EXPECT_EQ(server.network->dialled.load(), 0);
}

TEST_F(InboundPlainTest, StrictResetsHalfAClientHelloAtTheDeadline) {
  options.silent_deadline = absl::Milliseconds(100);
  Begin(MtlsMode::kStrict);
  Tcp tcp = Legacy();
  ASSERT_TRUE(tcp.Send(ForeignHello().substr(0, 20)));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kDeniedPlaintext).has_value());
  EXPECT_EQ(server.network->dialled.load(), 0);
}

TEST_F(InboundPlainTest, StrictResetsAClientThatOnlyEnds) {
  Begin(MtlsMode::kStrict);
  Tcp tcp = Legacy();
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_EQ(server.network->dialled.load(), 0);
}

TEST_F(InboundPlainTest, StrictResetsTheApplicationsOwnTls) {
  Begin(MtlsMode::kStrict);
  Tcp tcp = Legacy();
  ASSERT_TRUE(tcp.Send(ForeignHello()));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kDeniedPlaintext).has_value());
}

TEST_F(InboundPlainTest, PermissivePassesTheApplicationsOwnTlsUntouched) {
  Begin(MtlsMode::kPermissive);
  Server app(App(), Echo);
  Tcp tcp = Legacy();
  const std::string hello = ForeignHello();
  ASSERT_TRUE(tcp.Send(hello));
  EXPECT_EQ(tcp.Receive(hello.size()), hello);
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  const auto flow = b().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->security, Security::kPassthroughTls);
}

TEST_F(InboundPlainTest, AClientHelloInManyPiecesIsRecognised) {
  Begin(MtlsMode::kPermissive);
  Server app(App(), Echo);
  Tcp tcp = Legacy();
  const std::string hello = ForeignHello();
  for (const char c : hello) {
    ASSERT_TRUE(tcp.Send({&c, 1}));
    poll(nullptr, 0, 1);  // so that they leave as segments of their own
  }
  EXPECT_EQ(tcp.Receive(hello.size()), hello);
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  const auto flow = b().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->security, Security::kPassthroughTls);
}

TEST_F(InboundPlainTest, WhatBeginsLikeTlsAndStopsIsPassedInTheEnd) {
  options.silent_deadline = absl::Milliseconds(100);
  Begin(MtlsMode::kPermissive);
  Server app(App(), Echo);
  Tcp tcp = Legacy();
  const std::string start = ForeignHello().substr(0, 10);
  ASSERT_TRUE(tcp.Send(start));
  EXPECT_EQ(tcp.Receive(10), start);
}

TEST_F(InboundPlainTest, DisablePassesEverythingUntouched) {
  options.sniff_wait = absl::Hours(1);
  Begin(MtlsMode::kDisable);
  Server app(App(), Echo);
  Tcp tcp = Legacy();
  const std::string start = ForeignHello().substr(0, 10);
  ASSERT_TRUE(tcp.Send(start));
  EXPECT_EQ(tcp.Receive(10), start);
}

TEST_F(InboundPlainTest, MeshTlsIsTerminatedInStrict) {
  Begin(MtlsMode::kStrict);
  std::promise<base::Endpoint> seen;
  Server app(App(), [&](Tcp tcp) {
    seen.set_value(tcp.peer());
    Echo(std::move(tcp));
  });
  TlsClient tls = MeshTls();
  ASSERT_TRUE(tls.Handshake());
  ASSERT_TRUE(tls.Send("hello"));
  EXPECT_EQ(tls.Receive(5), "hello");
  tls.Finish();
  EXPECT_EQ(tls.Receive(1), "");
  EXPECT_TRUE(tls.ended_in_order());
  EXPECT_EQ(seen.get_future().get().address.ToString(), "127.8.8.8");
  const auto flow = b().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->security, Security::kMutualTls);
  EXPECT_EQ(flow->source_identity->service_account, "client");
  EXPECT_EQ(*flow->destination_identity, server.workload->identity);
  EXPECT_EQ(flow->bytes_sent, 5u);
  EXPECT_EQ(flow->bytes_received, 5u);
}

TEST_F(InboundPlainTest, TerminatedTlsCarriesALotBothWays) {
  Begin(MtlsMode::kStrict);
  Server app(App(), Echo);
  TlsClient tls = MeshTls();
  ASSERT_TRUE(tls.Handshake());
  const std::string chunk(300'000, 'z');
  ASSERT_TRUE(tls.Send(chunk));
  EXPECT_TRUE(tls.Receive(chunk.size()) == chunk);
}

TEST_F(InboundPlainTest, TlsWithoutCloseNotifyIsAReset) {
  Begin(MtlsMode::kStrict);
  std::promise<Ending> ending;
  Server app(App(), [&](Tcp tcp) {
    EXPECT_EQ(tcp.Receive(5), "hello");
    ending.set_value(tcp.AwaitEnd());
  });
  TlsClient tls = MeshTls();
  ASSERT_TRUE(tls.Handshake());
  ASSERT_TRUE(tls.Send("hello"));
  tls.tcp().Finish();
  EXPECT_EQ(ending.get_future().get(), Ending::kReset);
}

TEST_F(InboundPlainTest, AForeignTrustDomainIsRefused) {
  Begin(MtlsMode::kStrict);
  Server app(App(), Echo);
  // Signed by the same root, but of a domain that is not ours.
  auto other = pki::EmbeddedCa::Open(
      {.folder = folder() + "/ca", .trust_domain = "other.example"});
  ASSERT_TRUE(other.ok()) << other.status();
  std::swap(ca, *other);
  const model::Identity foreign{"other.example", "full", "client"};
  GiveCredential(a(), foreign);
  tls::Context::Options tls_options;
  tls_options.alpn = tls::Context::Options::Alpn::kIstio;
  auto context = tls::Context::Create(tls::Role::kClient, tls_options,
                                      a().credentials.Find(foreign),
                                      a().credentials.bundle());
  ASSERT_TRUE(context.ok()) << context.status();
  TlsClient tls(Legacy(), *context, server.workload->identity);
  if (tls.Handshake()) {
    EXPECT_EQ(tls.Receive(1), "");
  }
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kTlsFailure).has_value());
  EXPECT_EQ(server.network->dialled.load(), 0);
}

TEST_F(InboundPlainTest, AClosedApplicationPortIsAReset) {
  Begin(MtlsMode::kPermissive);
  Tcp tcp = Legacy();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kUpstreamRefused).has_value());
}

TEST_F(InboundPlainTest, TheMeshsOwnPortsAreRefused) {
  server = MakePod("server");
  Publish();
  LocalPod local;
  local.uid = server.workload->uid;
  local.network = server.network;
  local.listeners.inbound4 = ListenOn(At(server, 15006));
  local.listeners.inbound6 = ListenOn(At(server, 15001));
  b().engine->AddPod(std::move(local));
  for (const uint16_t port : {15006, 15001}) {
    Tcp tcp = Legacy(port);
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  }
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kReservedPort).has_value());
  EXPECT_EQ(server.network->dialled.load(), 0);
}

TEST_F(InboundPlainTest, APodThatIsNotKnownIsClosed) {
  server = MakePod("server");
  workloads.clear();
  Publish();
  Enrol(b(), server);
  Tcp tcp = Legacy();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kNoRoute).has_value());
}

TEST_F(InboundPlainTest, StrictReachesConnectionsThatStillSniff) {
  options.silent_deadline = absl::Milliseconds(200);
  options.sniff_wait = absl::Hours(1);
  Begin(MtlsMode::kPermissive);
  Server app(App(), Echo);
  Tcp tcp = Legacy();
  ASSERT_TRUE(Await([&] { return server.network->dialled.load() == 1; }));
  Strict("server", MtlsMode::kStrict);
  ASSERT_TRUE(tcp.Send("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kDeniedPlaintext).has_value());
}

TEST_F(InboundPlainTest, PermissiveReachesSilentConnectionsOfStrict) {
  options.silent_deadline = absl::Minutes(1);
  Begin(MtlsMode::kStrict);
  Server app(App(), [](Tcp tcp) {
    tcp.Send("greeting");
    tcp.AwaitEnd();
  });
  Tcp tcp = Legacy();
  ASSERT_TRUE(Await([&] { return server.network->captured.load() == 1; }));
  Strict("server", MtlsMode::kPermissive);
  EXPECT_EQ(tcp.Receive(8), "greeting");
}

TEST_F(InboundPlainTest, TooManyConnectionsAreReset) {
  options.max_connections_per_pod = 3;
  Begin(MtlsMode::kPermissive);
  Server app(App(), Echo);
  std::vector<Tcp> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(Legacy());
    ASSERT_TRUE(held.back().Send("x"));
    ASSERT_EQ(held.back().Receive(1), "x");
  }
  Tcp tcp = Legacy();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kLimit).has_value());
  held.pop_back();
  EXPECT_TRUE(Await([&] {
    Tcp again = Legacy();
    return again.Send("x") && again.Receive(1) == "x";
  }));
}

}  // namespace
}  // namespace nodeward::hbone
