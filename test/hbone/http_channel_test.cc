// SPDX-License-Identifier: Apache-2.0
//
// HTTP through the engine: what the application and the client see.
#include "hbone/http_channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <future>

#include "base/text.h"
#include "hbone/engine_fixture.h"

namespace nodeward::hbone {
namespace {

using base::StrCat;
using model::Attribute;
using model::AuthorizationPolicy;
using observe::Outcome;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr std::string_view kOk =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
constexpr std::string_view kDenied =
    "HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\n"
    "content-type: text/plain\r\n\r\nRBAC: access denied";

std::string Get(std::string_view path, std::string_view fields = "") {
  return StrCat("GET ", path, " HTTP/1.1\r\nHost: h\r\n", fields, "\r\n");
}

// To the end of a head.
std::string ReceiveHead(Tcp& tcp) {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    const std::string byte = tcp.Receive(1);
    if (byte.empty()) break;
    head += byte;
  }
  return head;
}

// Answers every request with kOk, for as long as they come.
void ServeOk(Tcp tcp) {
  while (ReceiveHead(tcp).ends_with("\r\n\r\n")) tcp.Send(kOk);
}

class HttpChannelTest : public EngineTest {
 protected:
  void Begin(model::Protocol protocol = model::Protocol::kHttp) {
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
  void Deny(const std::string& path) {
    auto policy = std::make_shared<AuthorizationPolicy>();
    policy->name = "p";
    policy->name_space = "full";
    policy->action = AuthorizationPolicy::Action::kDeny;
    policy->rules.resize(1);
    policy->rules[0].to = {{{Attribute::kPath, "", {path}, {}}}};
    authorization = {policy};
    Publish();
  }
  Tcp Plain() {
    return Tcp(
        ConnectFrom({*base::IpAddress::Parse("127.8.8.8"), 0}, At(server)));
  }
  // The same from inside the mesh and from outside.
  std::vector<Tcp> Both() {
    std::vector<Tcp> made;
    made.push_back(Connect(client, At(server)));
    made.push_back(Plain());
    return made;
  }

  TestPod client;
  TestPod server;
};

TEST_F(HttpChannelTest, TellsTheApplicationWhoTheClientIs) {
  Begin();
  std::promise<std::string> heads[2];
  std::atomic<int> next{0};
  auto app = Serve([&](Tcp tcp) {
    heads[next++].set_value(ReceiveHead(tcp));
    tcp.Send(kOk);
    tcp.AwaitEnd();
  });
  const std::string forged =
      Get("/", "X-Forwarded-Client-Cert: URI=forged\r\n");
  Tcp mesh = Connect(client, At(server));
  ASSERT_TRUE(mesh.Send(forged));
  EXPECT_EQ(mesh.Receive(kOk.size()), kOk);
  EXPECT_THAT(heads[0].get_future().get(),
              MatchesRegex("GET / HTTP/1.1\r\nHost: h\r\n"
                           "X-Forwarded-Client-Cert: "
                           "By=spiffe://cluster.local/ns/full/sa/server;"
                           "Hash=[0-9a-f]+;Subject=\"\";"
                           "URI=spiffe://cluster.local/ns/full/sa/client\r\n"
                           "\r\n"));
  Tcp plain = Plain();
  ASSERT_TRUE(plain.Send(forged));
  EXPECT_EQ(plain.Receive(kOk.size()), kOk);
  EXPECT_EQ(heads[1].get_future().get(), Get("/"));
}

TEST_F(HttpChannelTest, WhatIsDeniedNeverReachesTheApplication) {
  Begin();
  Deny("/no");
  auto app = Serve(ServeOk);
  for (Tcp& tcp : Both()) {
    const int dialled = server.network->dialled.load();
    ASSERT_TRUE(tcp.Send(Get("/no")));
    EXPECT_EQ(tcp.Receive(kDenied.size()), kDenied);
    EXPECT_EQ(server.network->dialled.load(), dialled);
    ASSERT_TRUE(tcp.Send(Get("/yes") + Get("/no") + Get("/yes")));
    const std::string all = StrCat(kOk, kDenied, kOk);
    EXPECT_EQ(tcp.Receive(all.size()), all);
    EXPECT_EQ(server.network->dialled.load(), dialled + 1);
    tcp.Finish();
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  }
  const auto flow = b().flows.AwaitClosed(Outcome::kDeniedRequest);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->policy, "full/p");
  EXPECT_EQ(flow->detail,
            "GET /no: denied by DENY AuthorizationPolicy full/p rule 0");
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kClosed).has_value());
}

// More in all than the window of a tunnel's stream.
TEST_F(HttpChannelTest, BodiesOfDeniedRequestsDoNotStopTheClient) {
  Begin();
  Deny("/no");
  auto app = Serve(ServeOk);
  const std::string body(500'000, 'x');
  const std::string request =
      StrCat(Get("/no", "Content-Length: 500000\r\n"), body);
  for (Tcp& tcp : Both()) {
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(tcp.Send(request));
      ASSERT_EQ(tcp.Receive(kDenied.size()), kDenied) << i;
    }
    ASSERT_TRUE(tcp.Send(Get("/yes")));
    EXPECT_EQ(tcp.Receive(kOk.size()), kOk);
  }
}

TEST_F(HttpChannelTest, AnEndedApplicationDoesNotStopTheClient) {
  Begin();
  auto app = Serve([](Tcp tcp) {
    ReceiveHead(tcp);
    tcp.Send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    tcp.Finish();
    tcp.AwaitEnd();
  });
  const std::string body(10 << 20, 'x');
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(
        tcp.Send(Get("/", StrCat("Content-Length: ", body.size(), "\r\n"))));
    EXPECT_THAT(ReceiveHead(tcp), HasSubstr("413"));
    EXPECT_TRUE(tcp.Send(body));
  }
}

TEST_F(HttpChannelTest, AChangeOfPolicyCountsFromTheNextRequestOn) {
  Begin();
  auto app = Serve(ServeOk);
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(Get("/a")));
    EXPECT_EQ(tcp.Receive(kOk.size()), kOk);
    Deny("/a");
    ASSERT_TRUE(tcp.Send(Get("/a")));
    EXPECT_EQ(tcp.Receive(kDenied.size()), kDenied);
    ASSERT_TRUE(tcp.Send(Get("/b")));
    EXPECT_EQ(tcp.Receive(kOk.size()), kOk);
    authorization.clear();
    Publish();
  }
}

TEST_F(HttpChannelTest, APolicyMakesAnUndeclaredPortHttp) {
  Begin(model::Protocol::kUnknown);
  auto app = Serve(ServeOk);
  Deny("/no");
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(Get("/no") + Get("/yes")));
    const std::string all = StrCat(kDenied, kOk);
    EXPECT_EQ(tcp.Receive(all.size()), all);
  }
}

TEST_F(HttpChannelTest, ADeclaredBytePortStaysBytes) {
  Begin(model::Protocol::kTcp);
  auto app = Serve(Echo);
  const std::string bytes = Get("/", "X-Forwarded-Client-Cert: any\r\n");
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(bytes));
    EXPECT_EQ(tcp.Receive(bytes.size()), bytes);
  }
  // Nobody can tell HTTP attributes there: DENY leaves them out.
  Deny("/no");
  Tcp tcp = Connect(client, At(server));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
}

TEST_F(HttpChannelTest, ABadRequestIsAnsweredAndTheLast) {
  Begin();
  std::atomic<uint64_t> reached{0};
  auto app = Serve([&](Tcp tcp) {
    uint64_t count = 0;
    tcp.AwaitEnd(&count);
    reached += count;
  });
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(
        Get("/", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")));
    const std::string head = ReceiveHead(tcp);
    EXPECT_THAT(head, HasSubstr("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_THAT(head, HasSubstr("connection: close\r\n"));
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
  }
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kBadRequest).has_value());
  app.reset();
  EXPECT_EQ(reached.load(), 0u);
}

TEST_F(HttpChannelTest, ABodyThatTurnsBadResetsBothSides) {
  Begin();
  std::atomic<int> resets{0};
  auto app = Serve([&](Tcp tcp) {
    ReceiveHead(tcp);
    tcp.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    if (tcp.AwaitEnd() == Ending::kReset) ++resets;
  });
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(Get("/", "Transfer-Encoding: chunked\r\n")));
    EXPECT_THAT(ReceiveHead(tcp), HasSubstr("200 OK"));
    ASSERT_TRUE(tcp.Send("5\nhello"));
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  }
  app.reset();
  EXPECT_EQ(resets.load(), 2);
}

TEST_F(HttpChannelTest, TlsOfTheApplicationIsNotHttp) {
  Begin();
  auto app = Serve(Echo);
  Tcp tcp = Plain();
  // A ClientHello that offers no mesh protocol, in one record.
  std::string body = "\x03\x03" + std::string(32, 'r');
  body += std::string("\0\0\x02\x13\x01\x01\0\0\0", 9);
  const auto size = static_cast<char>(body.size());
  ASSERT_TRUE(tcp.Send(std::string("\x16\x03\x01\0", 4) +
                       static_cast<char>(size + 4) +
                       std::string("\x01\0\0", 3) + size + body));
  EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kBadRequest).has_value());
}

TEST_F(HttpChannelTest, ACloseOfTheApplicationIsPassedOn) {
  Begin();
  auto app = Serve([](Tcp tcp) {
    ReceiveHead(tcp);
    tcp.Send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
  });
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(Get("/")));
    EXPECT_THAT(ReceiveHead(tcp), HasSubstr("200 OK"));
    EXPECT_EQ(tcp.Receive(100), "until the end");
    tcp.Finish();
  }
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kClosed).has_value());
}

TEST_F(HttpChannelTest, AHalfClosedClientGetsItsAnswer) {
  Begin();
  auto app = Serve([](Tcp tcp) {
    ReceiveHead(tcp);
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kFin);
    tcp.Send(kOk);
  });
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(Get("/")));
    tcp.Finish();
    EXPECT_EQ(tcp.Receive(100), kOk);
  }
}

TEST_F(HttpChannelTest, BodiesPassInBothDirectionsAndStopTheWriter) {
  Begin();
  const std::string body(3 << 20, 'b');
  auto app = Serve([&](Tcp tcp) {
    EXPECT_THAT(ReceiveHead(tcp), HasSubstr("Content-Length: 3145728\r\n"));
    EXPECT_TRUE(tcp.Receive(body.size()) == body);
    tcp.Send(
        StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n"));
    tcp.Send(body);
    tcp.AwaitEnd();
  });
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(StrCat(
        Get("/", StrCat("Content-Length: ", body.size(), "\r\n")), body)));
    EXPECT_THAT(ReceiveHead(tcp), HasSubstr("200 OK"));
    EXPECT_TRUE(tcp.Receive(body.size()) == body);
  }
}

TEST_F(HttpChannelTest, AReaderThatSleepsStopsTheWriter) {
  Begin();
  std::promise<void> done;
  std::shared_future<void> ended(done.get_future());
  auto app = Serve([&](Tcp tcp) {
    ReceiveHead(tcp);
    ended.wait();
  });
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(Get("/", "Content-Length: 1000000000\r\n")));
    EXPECT_LT(tcp.FillUp(100'000'000, 500), 50'000'000u);
  }
  done.set_value();
  app.reset();
}

TEST_F(HttpChannelTest, PipelinedRequestsWaitOutside) {
  Begin();
  std::promise<void> done;
  std::shared_future<void> ended(done.get_future());
  std::atomic<int> heads{0};
  auto app = Serve([&](Tcp tcp) {
    ReceiveHead(tcp);
    ++heads;
    ended.wait();
  });
  std::string many;
  while (many.size() < 1 << 20) many += Get("/many");
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(Get("/first")));
    uint64_t sent = 0;
    while (sent < 100'000'000) {
      pollfd p{tcp.fd(), POLLOUT, 0};
      if (poll(&p, 1, 500) <= 0) break;
      const ssize_t n =
          send(tcp.fd(), many.data(), many.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) sent += static_cast<uint64_t>(n);
    }
    EXPECT_LT(sent, 50'000'000u);
  }
  EXPECT_EQ(heads.load(), 2);
  done.set_value();
  app.reset();
}

TEST_F(HttpChannelTest, AnApplicationThatIsNotThereIsAReset) {
  Begin();
  for (const bool judged : {false, true}) {
    if (judged) Deny("/no");
    for (Tcp& tcp : Both()) {
      // A reset that came before is told to the one who sends.
      if (tcp.Send(Get("/"))) {
        EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
      }
    }
  }
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kUpstreamRefused).has_value());
}

TEST_F(HttpChannelTest, AnAnswerThatIsNoHttpIsAReset) {
  Begin();
  auto app = Serve([](Tcp tcp) {
    ReceiveHead(tcp);
    tcp.Send("hello\r\n\r\n");
    tcp.AwaitEnd();
  });
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send(Get("/")));
    EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  }
}

TEST_F(HttpChannelTest, AWebSocketIsEndedByThePolicyThatForbidsIt) {
  Begin();
  auto app = Serve([](Tcp tcp) {
    ReceiveHead(tcp);
    tcp.Send("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n");
    Echo(std::move(tcp));
  });
  std::vector<Tcp> both = Both();
  for (Tcp& tcp : both) {
    ASSERT_TRUE(tcp.Send(
        Get("/chat", "Connection: upgrade\r\nUpgrade: websocket\r\n")));
    EXPECT_THAT(ReceiveHead(tcp), HasSubstr("101 Switching"));
    ASSERT_TRUE(tcp.Send("\x81\x02hi"));
    EXPECT_EQ(tcp.Receive(4), "\x81\x02hi");
  }
  Deny("/other");
  for (Tcp& tcp : both) {
    ASSERT_TRUE(tcp.Send("x"));
    EXPECT_EQ(tcp.Receive(1), "x");
  }
  Deny("/chat");
  for (Tcp& tcp : both) EXPECT_EQ(tcp.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kPolicyChanged).has_value());
}

TEST_F(HttpChannelTest, ARefusedClientThatGoesOnEndsWithItsPod) {
  Begin();
  auto app = Serve(ServeOk);
  for (Tcp& tcp : Both()) {
    ASSERT_TRUE(tcp.Send("nonsense\r\n\r\n"));
    EXPECT_THAT(ReceiveHead(tcp), HasSubstr("400"));
    EXPECT_TRUE(tcp.Send(std::string(100'000, 'x')));
  }
}

}  // namespace
}  // namespace nodeward::hbone
