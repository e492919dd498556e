// SPDX-License-Identifier: Apache-2.0
//
// HTTP/2 through the engine: what the application and the client see.
#include "hbone/http_streams.h"

#include <future>

#include "base/text.h"
#include "hbone/engine_fixture.h"
#include "http/stream_fixture.h"

namespace nodeward::hbone {
namespace {

using base::StrCat;
using http::FieldList;
using http::StreamGateway;
using http::wire::Seen;
using model::Attribute;
using model::AuthorizationPolicy;
using observe::Outcome;
using testing::HasSubstr;
using testing::MatchesRegex;

namespace wire = http::wire;

FieldList Get(const std::string& path) {
  return {{":method", "GET"},
          {":scheme", "http"},
          {":path", path},
          {":authority", "h"}};
}

// One end of a connection that speaks HTTP/2 in frames of its own making.
class Peer {
 public:
  explicit Peer(Tcp tcp) : tcp_(std::move(tcp)) {}

  static Peer Client(Tcp tcp) {
    Peer peer(std::move(tcp));
    EXPECT_TRUE(
        peer.tcp_.Send(StrCat(StreamGateway::kPreface, wire::Settings({}))));
    return peer;
  }
  static Peer Application(Tcp tcp) {
    Peer peer(std::move(tcp));
    peer.tcp_.Send(wire::Settings({}));
    peer.preface_ = peer.tcp_.Receive(StreamGateway::kPreface.size());
    return peer;
  }

  bool Send(const std::string& frames) { return tcp_.Send(frames); }
  // The next frame of `type`; one of type 255: the connection has ended.
  Seen Next(uint8_t type) {
    for (;;) {
      const std::string head = tcp_.Receive(9);
      if (head.size() < 9) return Ended();
      size_t size = 0;
      for (int i = 0; i < 3; ++i) {
        size = size << 8 | static_cast<uint8_t>(head[static_cast<size_t>(i)]);
      }
      const std::string payload = size > 0 ? tcp_.Receive(size) : "";
      if (payload.size() < size) return Ended();
      reader_.Add(head + payload);
      std::vector<Seen> seen = reader_.Take();
      if (!seen.empty() && seen[0].type == type) return std::move(seen[0]);
    }
  }
  const std::string& preface() const { return preface_; }
  Tcp& tcp() { return tcp_; }

 private:
  static Seen Ended() {
    Seen seen;
    seen.type = 255;
    return seen;
  }

  Tcp tcp_;
  wire::Reader reader_;
  std::string preface_;
};

// Answers every request with its path, for as long as they come.
void ServePaths(Tcp tcp) {
  Peer peer = Peer::Application(std::move(tcp));
  for (;;) {
    const Seen head = peer.Next(wire::kHeaders);
    if (head.type == 255) return;
    const auto id = static_cast<uint32_t>(head.id);
    peer.Send(wire::Head(id,
                         {{":status", "200"},
                          {"xfcc", head.Value("x-forwarded-client-cert")}},
                         false) +
              wire::Data(id, head.Value(":path"), true));
  }
}

class HttpStreamsTest : public EngineTest {
 protected:
  void Begin(model::Protocol protocol = model::Protocol::kHttp2) {
    client = MakePod("client");
    server = MakePod("server");
    server.workload->ports = {{"", kPort, {protocol, false}}};
    Publish();
    Enrol(a(), client);
    Enrol(b(), server);
  }
  // A test's own value, so that it ends before what `serve` refers to.
  [[nodiscard]] std::unique_ptr<Server> Serve(Server::Serve serve) {
    return std::make_unique<Server>(ApplicationOf(At(server)),
                                    std::move(serve));
  }
  void Apply(AuthorizationPolicy::Action action,
             std::vector<model::AttributeTests> from,
             std::vector<model::AttributeTests> to) {
    auto policy = std::make_shared<AuthorizationPolicy>();
    policy->name = "p";
    policy->name_space = "full";
    policy->action = action;
    policy->rules.resize(1);
    policy->rules[0].from = std::move(from);
    policy->rules[0].to = std::move(to);
    authorization = {policy};
    Publish();
  }
  void Deny(const std::string& path) {
    Apply(AuthorizationPolicy::Action::kDeny, {},
          {{{Attribute::kPath, "", {path}, {}}}});
  }
  Tcp Plain() {
    return Tcp(
        ConnectFrom({*base::IpAddress::Parse("127.8.8.8"), 0}, At(server)));
  }
  // The same from inside the mesh and from outside.
  std::vector<Peer> Both() {
    std::vector<Peer> made;
    made.push_back(Peer::Client(Connect(client, At(server))));
    made.push_back(Peer::Client(Plain()));
    return made;
  }

  TestPod client;
  TestPod server;
};

TEST_F(HttpStreamsTest, TellsTheApplicationWhoTheClientIs) {
  Begin();
  auto app = Serve(ServePaths);
  std::vector<std::string> named;
  for (Peer& peer : Both()) {
    FieldList forged = Get("/");
    forged.emplace_back("x-forwarded-client-cert", "URI=forged");
    ASSERT_TRUE(peer.Send(wire::Head(1, forged)));
    named.push_back(peer.Next(wire::kHeaders).Value("xfcc"));
  }
  EXPECT_THAT(named[0],
              MatchesRegex("By=spiffe://cluster.local/ns/full/sa/server;"
                           "Hash=[0-9a-f]+;Subject=\"\";"
                           "URI=spiffe://cluster.local/ns/full/sa/client"));
  EXPECT_EQ(named[1], "(none)");
}

TEST_F(HttpStreamsTest, WhatIsDeniedLeavesTheOthersAlone) {
  Begin();
  Deny("/no");
  auto app = Serve(ServePaths);
  for (Peer& peer : Both()) {
    // The application is dialled with the second.
    ASSERT_TRUE(peer.Send(wire::Head(1, Get("/no"))));
    EXPECT_EQ(peer.Next(wire::kHeaders).Value(":status"), "403");
    EXPECT_EQ(peer.Next(wire::kData).payload, "RBAC: access denied");
    ASSERT_TRUE(peer.Send(wire::Head(3, Get("/yes"))));
    EXPECT_EQ(peer.Next(wire::kHeaders).Value(":status"), "200");
    EXPECT_EQ(peer.Next(wire::kData).payload, "/yes");
  }
}

TEST_F(HttpStreamsTest, APolicyCountsFromTheNextRequestOn) {
  Begin();
  auto app = Serve(ServePaths);
  for (Peer& peer : Both()) {
    ASSERT_TRUE(peer.Send(wire::Head(1, Get("/a"), false)));
    EXPECT_EQ(peer.Next(wire::kHeaders).Value(":status"), "200");
    EXPECT_EQ(peer.Next(wire::kData).payload, "/a");
    Deny("/a");
    ASSERT_TRUE(peer.Send(wire::Head(3, Get("/a"))));
    EXPECT_EQ(peer.Next(wire::kHeaders).Value(":status"), "403");
    ASSERT_TRUE(peer.Send(wire::Head(5, Get("/b"))));
    EXPECT_EQ(peer.Next(wire::kHeaders).Value(":status"), "200");
    authorization = {};
    Publish();
  }
}

TEST_F(HttpStreamsTest, WhoIsDeniedAltogetherIsToldToo) {
  Begin();
  std::atomic<int> dialled = 0;
  auto app = Serve([&](Tcp tcp) {
    ++dialled;
    tcp.AwaitEnd();
  });
  Apply(AuthorizationPolicy::Action::kAllow,
        {{{Attribute::kPrincipal, "", {"cluster.local/ns/x/sa/y"}, {}}}}, {});
  for (Peer& peer : Both()) {
    ASSERT_TRUE(peer.Send(wire::Head(1, Get("/"))));
    EXPECT_EQ(peer.Next(wire::kHeaders).Value(":status"), "403");
  }
  const std::string denied = "HTTP/1.1 403 Forbidden\r\n";
  for (int i = 0; i < 2; ++i) {
    Tcp tcp = i == 0 ? Connect(client, At(server)) : Plain();
    ASSERT_TRUE(tcp.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(tcp.Receive(denied.size()), denied);
  }
  EXPECT_EQ(dialled, 0);
}

TEST_F(HttpStreamsTest, EachClientChoosesItsVersion) {
  Begin(model::Protocol::kGrpc);
  const std::string answer = "HTTP/1.1 204 No Content\r\n\r\n";
  auto app = Serve([&](Tcp tcp) {
    tcp.Receive(std::string("POST").size());
    tcp.Send(answer);
    tcp.AwaitEnd();
  });
  for (int i = 0; i < 2; ++i) {
    Tcp tcp = i == 0 ? Connect(client, At(server)) : Plain();
    // As far as this it might become the preface.
    ASSERT_TRUE(tcp.Send("P"));
    ASSERT_TRUE(tcp.Send("OST / HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(tcp.Receive(answer.size()), answer);
  }
  const std::string bad = "HTTP/1.1 400 Bad Request\r\n";
  Tcp tcp = Plain();
  ASSERT_TRUE(tcp.Send("PRI * HTTP/2.0\r\n\r\nSMOKE\r\n\r\n"));
  EXPECT_EQ(tcp.Receive(bad.size()), bad);
}

TEST_F(HttpStreamsTest, ManySmallPiecesAndAServerThatSpeaksFirst) {
  Begin();
  auto app = Serve(ServePaths);
  const std::string all = StrCat(StreamGateway::kPreface, wire::Settings({}),
                                 wire::Head(1, Get("/slowly")));
  for (int i = 0; i < 2; ++i) {
    Tcp tcp = i == 0 ? Connect(client, At(server)) : Plain();
    for (const char c : all.substr(0, all.size() - 1)) {
      ASSERT_TRUE(tcp.Send(std::string(1, c)));
    }
    Peer peer(std::move(tcp));
    ASSERT_TRUE(peer.Send(all.substr(all.size() - 1)));
    EXPECT_EQ(peer.Next(wire::kHeaders).Value(":status"), "200");
    EXPECT_EQ(peer.Next(wire::kData).payload, "/slowly");
  }
}

TEST_F(HttpStreamsTest, AHeadThatDoesNotEndIsNotAwaitedForEver) {
  options.head_deadline = absl::Milliseconds(100);
  Begin();
  auto app = Serve(ServePaths);
  const std::string half = StrCat(StreamGateway::kPreface, wire::Settings({}),
                                  wire::Frame(wire::kHeaders, 0, 1, "\x82"));
  for (const std::string& sent :
       {std::string("GET / HTTP/1.1\r\nHos"), std::string("PRI * HT"), half}) {
    for (int i = 0; i < 2; ++i) {
      Tcp tcp = i == 0 ? Connect(client, At(server)) : Plain();
      ASSERT_TRUE(tcp.Send(sent));
      EXPECT_NE(tcp.AwaitEnd(), Ending::kTimeout) << sent;
    }
  }
}

TEST_F(HttpStreamsTest, TheApplicationsEndReachesTheClient) {
  Begin();
  auto app = Serve([](Tcp tcp) {
    Peer peer = Peer::Application(std::move(tcp));
    peer.Next(wire::kHeaders);
    peer.tcp().Finish();
    peer.tcp().AwaitEnd();
  });
  for (Peer& peer : Both()) {
    ASSERT_TRUE(peer.Send(wire::Head(1, Get("/"))));
    EXPECT_EQ(peer.Next(wire::kHeaders).Value(":status"), "503");
    EXPECT_EQ(peer.Next(255).type, 255);
  }
}

}  // namespace
}  // namespace nodeward::hbone
