// SPDX-License-Identifier: Apache-2.0
//
// Taps of two engines, while applications speak through them.
#include "hbone/tap_point.h"

#include "base/text.h"
#include "hbone/engine_fixture.h"

namespace nodeward::hbone {
namespace {

using base::StrCat;
using observe::TapEvent;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kGet = "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view kOk =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class TapPointTest : public EngineTest {
 protected:
  void Begin(model::Protocol protocol = model::Protocol::kUnknown) {
    options.taps = &taps;
    client = MakePod("client");
    server = MakePod("server");
    server.workload->ports = {{"", kPort, {protocol, false}}};
    Publish();
    Enrol(a(), client);
    Enrol(b(), server);
    all = *taps.Start({});
  }
  base::Endpoint App() const { return ApplicationOf(At(server)); }
  // One request, and the end of the connection.
  void Ask(Tcp tcp) {
    ASSERT_TRUE(tcp.Send(kGet));
    EXPECT_EQ(tcp.Receive(kOk.size()), kOk);
    tcp.Finish();
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  }
  static void ServeOk(Tcp tcp) {
    while (tcp.Receive(kGet.size()).size() == kGet.size()) tcp.Send(kOk);
    tcp.Finish();
  }
  // What `tap` tells of one side, once `count` events are there.
  std::vector<std::string> Told(observe::Tap& tap, observe::Reporter side,
                                size_t count) {
    EXPECT_TRUE(Await([&] {
      for (TapEvent& event : tap.Take(1000)) {
        events_[&tap].push_back(std::move(event));
      }
      return Of(tap, side).size() >= count;
    }));
    return Of(tap, side);
  }
  std::vector<std::string> Of(observe::Tap& tap, observe::Reporter side) {
    std::vector<std::string> lines;
    for (const TapEvent& event : events_[&tap]) {
      if (event.connection->reporter == side) lines.push_back(Line(event));
    }
    return lines;
  }
  static std::string Line(const TapEvent& event) {
    switch (event.kind) {
      case TapEvent::Kind::kRequest:
        return StrCat(event.id.stream, " ", event.method, " ", event.authority,
                      " ", event.path);
      case TapEvent::Kind::kResponse:
        return StrCat(event.id.stream, " ", event.status);
      case TapEvent::Kind::kEnd:
        return StrCat(event.id.stream, " end ", event.received, event.reset);
      case TapEvent::Kind::kOpen:
        return StrCat(event.id.stream, " open");
      case TapEvent::Kind::kClose:
        return StrCat(event.id.stream, " close ", event.sent, " ",
                      event.received, " ", OutcomeText(event.outcome));
    }
    return "";
  }

  static constexpr auto kOut = observe::Reporter::kSource;
  static constexpr auto kIn = observe::Reporter::kDestination;
  observe::Taps taps;
  std::shared_ptr<observe::Tap> all;
  TestPod client;
  TestPod server;
  std::map<observe::Tap*, std::vector<TapEvent>> events_;
};

TEST_F(TapPointTest, BothSidesOfATunnel) {
  Begin();
  Server app(App(), ServeOk);
  Ask(Connect(client, At(server)));
  EXPECT_THAT(Told(*all, kOut, 3),
              ElementsAre("0 GET h /a?b", "0 200", "0 end 2"));
  EXPECT_THAT(Told(*all, kIn, 3),
              ElementsAre("0 GET h /a?b", "0 200", "0 end 2"));
  for (const TapEvent& event : events_[all.get()]) {
    EXPECT_EQ(event.connection->security, observe::Security::kMutualTls);
    EXPECT_EQ(event.connection->destination, At(server));
    EXPECT_EQ(event.connection->source.address, client.ip);
    EXPECT_EQ(*event.connection->source_identity, client.workload->identity);
  }
}

TEST_F(TapPointTest, BeforeAGatewayThatDenies) {
  Begin(model::Protocol::kHttp);
  auto deny = std::make_shared<model::AuthorizationPolicy>();
  deny->name = "deny";
  deny->name_space = server.workload->name_space;
  deny->action = model::AuthorizationPolicy::Action::kDeny;
  deny->rules.resize(1);
  deny->rules[0].to = {{{model::Attribute::kMethod, "", {"GET"}, {}}}};
  authorization.push_back(deny);
  Publish();
  Server app(App(), ServeOk);
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send(kGet));
  EXPECT_THAT(Told(*all, kIn, 3),
              ElementsAre("0 GET h /a?b", "0 403", "0 end 19"));
  EXPECT_THAT(Told(*all, kOut, 3),
              ElementsAre("0 GET h /a?b", "0 403", "0 end 19"));
  EXPECT_EQ(app.accepted(), 0);
}

TEST_F(TapPointTest, PlaintextFromOutside) {
  Begin();
  Server app(App(), ServeOk);
  Ask(Tcp(ConnectFrom({*base::IpAddress::Parse("127.8.8.8"), 0}, At(server))));
  EXPECT_THAT(Told(*all, kIn, 3),
              ElementsAre("0 GET h /a?b", "0 200", "0 end 2"));
  EXPECT_EQ(events_[all.get()].at(0).connection->security,
            observe::Security::kPlaintext);
}

TEST_F(TapPointTest, AStreamOfBytesIsLeftAsItIs) {
  Begin();
  Server app(App(), Echo);
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send("no http, and no end of line"));
  EXPECT_EQ(tcp.Receive(27), "no http, and no end of line");
  EXPECT_THAT(Told(*all, kIn, 1), ElementsAre("0 open"));
  tcp.Finish();
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  EXPECT_THAT(Told(*all, kIn, 2),
              ElementsAre("0 open", "0 close 27 27 closed"));
  EXPECT_THAT(Told(*all, kOut, 2),
              ElementsAre("0 open", "0 close 27 27 closed"));
}

TEST_F(TapPointTest, AConnectionThatBreaksEndsItsRequests) {
  Begin();
  Server app(App(), [](Tcp tcp) {
    tcp.Receive(kGet.size());
    tcp.Reset();
  });
  Tcp tcp = Connect(client, At(server));
  ASSERT_TRUE(tcp.Send(kGet));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_THAT(Told(*all, kOut, 2), ElementsAre("0 GET h /a?b", "0 end 0reset"));
  EXPECT_THAT(Told(*all, kIn, 2), ElementsAre("0 GET h /a?b", "0 end 0reset"));
}

TEST_F(TapPointTest, EachTapHasItsFiltersAndItsNumbers) {
  Begin();
  observe::TapQuestion question;
  question.path = "/other";
  const auto other = *taps.Start(question);
  question.path = "/a";
  question.max_rps = 2;
  const auto limited = *taps.Start(question);
  Server app(App(), ServeOk);
  Ask(Connect(client, At(server)));
  EXPECT_EQ(Told(*all, kOut, 3).size(), 3u);
  EXPECT_EQ(Told(*all, kIn, 3).size(), 3u);
  EXPECT_EQ(Told(*limited, kIn, 3).size(), 3u);
  EXPECT_EQ(Told(*limited, kOut, 3).size(), 3u);
  EXPECT_THAT(other->Take(9), IsEmpty());
}

TEST_F(TapPointTest, OnlyNewConnectionsAndOnlyWhileATapRuns) {
  Begin();
  taps.Stop(all);
  Server app(App(), ServeOk);
  Tcp before = Connect(client, At(server));
  ASSERT_TRUE(before.Send(kGet));
  EXPECT_EQ(before.Receive(kOk.size()), kOk);
  all = *taps.Start({});
  ASSERT_TRUE(before.Send(kGet));
  EXPECT_EQ(before.Receive(kOk.size()), kOk);
  Tcp during = Connect(client, At(server));
  ASSERT_TRUE(during.Send(kGet));
  EXPECT_EQ(during.Receive(kOk.size()), kOk);
  EXPECT_THAT(Told(*all, kOut, 3),
              ElementsAre("0 GET h /a?b", "0 200", "0 end 2"));
  EXPECT_EQ(Told(*all, kIn, 3).size(), 3u);
  taps.Stop(all);
  ASSERT_TRUE(during.Send(kGet));
  EXPECT_EQ(during.Receive(kOk.size()), kOk);
  EXPECT_THAT(all->Take(9), IsEmpty());
}

}  // namespace
}  // namespace nodeward::hbone
