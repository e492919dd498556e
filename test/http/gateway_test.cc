// SPDX-License-Identifier: Apache-2.0
#include "http/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "http/gateway_fixture.h"

namespace nodeward::http {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Ruling = GatewayUser::Ruling;

constexpr std::string_view kOk =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
constexpr std::string_view kDenied =
    "HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\n"
    "content-type: text/plain\r\n\r\nRBAC: access denied";

std::string Get(std::string_view path, std::string_view fields = "") {
  return base::StrCat("GET ", path, " HTTP/1.1\r\nHost: h\r\n", fields, "\r\n");
}

// Denies paths that begin with /no, says 400 to /bad.
Ruling Rule(RequestHead* request) {
  if (request->path() == "/bad") return Ruling::kRefuse;
  return request->path().starts_with("/no") ? Ruling::kDeny : Ruling::kForward;
}

TEST(GatewayTest, ForwardsARequestAndItsAnswer) {
  GatewayDriver driver;
  driver.Client(Get("/a"));
  EXPECT_EQ(driver.to_application, Get("/a"));
  EXPECT_FALSE(driver.gateway.answered());
  driver.Application(kOk);
  EXPECT_EQ(driver.to_client, kOk);
  EXPECT_TRUE(driver.gateway.answered());
  EXPECT_FALSE(driver.gateway.closing());
}

TEST(GatewayTest, EveryRequestGetsTheClientsCertificate) {
  GatewayDriver driver;
  driver.certificate = "By=a;URI=b";
  for (int i = 0; i < 3; ++i) {
    driver.to_application.clear();
    driver.Client(Get("/a", "X-Forwarded-Client-Cert: forged\r\n"));
    EXPECT_EQ(driver.to_application,
              Get("/a", "X-Forwarded-Client-Cert: By=a;URI=b\r\n"));
    driver.Application(kOk);
  }
}

TEST(GatewayTest, ThePathThatWasJudgedGoesOn) {
  GatewayDriver driver;
  driver.judge = [](RequestHead* request) {
    request->set_path("/normal");
    return Ruling::kForward;
  };
  driver.Client(Get("/x/../normal"));
  EXPECT_EQ(driver.to_application, Get("/normal"));
}

TEST(GatewayTest, ADeniedRequestIsNeverSeenAndTheConnectionGoesOn) {
  GatewayDriver driver;
  driver.judge = Rule;
  driver.Client(Get("/no"));
  EXPECT_EQ(driver.to_client, kDenied);
  driver.Client(
      base::StrCat("POST /no HTTP/1.1\r\nHost: h\r\n"
                   "Content-Length: 5\r\n\r\nhello",
                   "POST /no HTTP/1.1\r\nHost: h\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n"
                   "5\r\nhello\r\n0\r\n\r\n"));
  EXPECT_EQ(driver.to_client, base::StrCat(kDenied, kDenied, kDenied));
  EXPECT_EQ(driver.to_application, "");
  driver.Client(Get("/yes"));
  EXPECT_EQ(driver.to_application, Get("/yes"));
}

TEST(GatewayTest, HeadIsDeniedWithoutABody) {
  GatewayDriver driver;
  driver.judge = Rule;
  driver.Client("HEAD /no HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(driver.to_client, kDenied.substr(0, kDenied.find("\r\n\r\n") + 4));
}

TEST(GatewayTest, DenialIsTheEndWhereTheBodyCannotBeAwaited) {
  for (const std::string_view fields :
       {"Connection: close\r\n",
        "Content-Length: 5\r\nExpect: 100-continue\r\n",
        "Content-Length: 1048577\r\n"}) {
    GatewayDriver driver;
    driver.judge = Rule;
    driver.Client(Get("/no", fields));
    EXPECT_THAT(driver.to_client, HasSubstr("403 Forbidden")) << fields;
    EXPECT_THAT(driver.to_client, HasSubstr("connection: close")) << fields;
    EXPECT_TRUE(driver.gateway.closing()) << fields;
    driver.Client(Get("/yes"));
    EXPECT_EQ(driver.to_application, "") << fields;
  }
}

TEST(GatewayTest, ADeniedBodyWithoutAnEndIsNotReadForEver) {
  GatewayDriver driver;
  driver.judge = Rule;
  driver.Client(Get("/no", "Transfer-Encoding: chunked\r\n"));
  const std::string chunk =
      base::StrCat("10000\r\n", std::string(0x10000, 'x'), "\r\n");
  for (int i = 0; i < 16; ++i) {
    EXPECT_FALSE(driver.gateway.closing());
    driver.Client(chunk);
  }
  EXPECT_TRUE(driver.gateway.closing());
  EXPECT_THAT(driver.to_client, HasSubstr("connection: close"));
}

TEST(GatewayTest, PipelinedRequestsGoOneByOne) {
  GatewayDriver driver;
  driver.judge = Rule;
  driver.Client(base::StrCat(Get("/1"), Get("/no"), Get("/2")));
  EXPECT_EQ(driver.to_application, Get("/1"));
  EXPECT_EQ(driver.to_client, "");
  driver.Application(kOk);
  EXPECT_EQ(driver.to_client, base::StrCat(kOk, kDenied));
  EXPECT_EQ(driver.to_application, base::StrCat(Get("/1"), Get("/2")));
  driver.Application(kOk);
  EXPECT_EQ(driver.to_client, base::StrCat(kOk, kDenied, kOk));
}

TEST(GatewayTest, TakesNoMoreWhileAReplyWaits) {
  GatewayDriver driver;
  driver.judge = Rule;
  std::string many;
  for (int i = 0; i < 1000; ++i) many += Get("/no");
  const size_t taken = driver.gateway.FromClient(base::AsBytes(many));
  EXPECT_EQ(taken, Get("/no").size());
  EXPECT_EQ(driver.gateway.reply(), kDenied);
  EXPECT_EQ(driver.gateway.FromClient(base::AsBytes(many)), 0u);
}

TEST(GatewayTest, BodiesPassInBothDirections) {
  GatewayDriver driver;
  driver.Client(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;ext=1\r\nhel");
  driver.Client("lo\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n");
  EXPECT_EQ(driver.to_application,
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            "5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n");
  const std::string answer =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;e\r\nhello\r\n0\r\nT: y\r\n\r\n";
  driver.Application(answer);
  EXPECT_EQ(driver.to_client, answer);
  EXPECT_TRUE(driver.gateway.answered());
}

TEST(GatewayTest, InterimAnswersDoNotCount) {
  GatewayDriver driver;
  driver.Client(
      "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
      "Content-Length: 2\r\n\r\n");
  driver.Application("HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_FALSE(driver.gateway.answered());
  driver.Client("hi");
  EXPECT_TRUE(driver.to_application.ends_with("\r\n\r\nhi"));
  driver.Application(
      base::StrCat("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", kOk));
  EXPECT_TRUE(driver.gateway.answered());
}

TEST(GatewayTest, AnAnswerToHeadHasNoBody) {
  GatewayDriver driver;
  driver.Client("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  driver.Application("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  EXPECT_TRUE(driver.gateway.answered());
  driver.Client(Get("/next"));
  EXPECT_TRUE(driver.to_application.ends_with(Get("/next")));
}

TEST(GatewayTest, AnAnswerMayComeBeforeTheBodyEnds) {
  GatewayDriver driver;
  driver.Client("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
  driver.Application(kOk);
  EXPECT_FALSE(driver.gateway.broken());
  driver.Client("cd");
  driver.Client(Get("/next"));
  EXPECT_TRUE(driver.to_application.ends_with("abcd" + Get("/next")));
}

TEST(GatewayTest, AnAnswerUntilTheEnd) {
  GatewayDriver driver;
  driver.Client("GET / HTTP/1.0\r\n\r\n");
  driver.Application("HTTP/1.0 200 OK\r\n\r\nany length");
  driver.Application(" at all");
  EXPECT_FALSE(driver.gateway.answered());
  driver.gateway.ApplicationEnded();
  EXPECT_TRUE(driver.gateway.closing());
  EXPECT_TRUE(driver.to_client.ends_with("any length at all"));
}

TEST(GatewayTest, AnAnswerThatNobodyAskedForIsAnError) {
  GatewayDriver first;
  first.Application("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_TRUE(first.gateway.broken());
  EXPECT_EQ(first.to_client, "");
  GatewayDriver second;
  second.Client(Get("/"));
  second.Application(base::StrCat(kOk, kOk));
  EXPECT_EQ(second.to_client, kOk);
  EXPECT_TRUE(second.gateway.broken());
}

TEST(GatewayTest, WebSocketIsBytesAfterThe101) {
  const std::string ask =
      Get("/chat", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
  const std::string answer =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
      "Upgrade: websocket\r\n\r\n";
  GatewayDriver driver;
  driver.Client(ask + "early");
  EXPECT_EQ(driver.to_application, ask);
  EXPECT_EQ(driver.gateway.upgraded(), nullptr);
  driver.Application(answer + "\x81 frame");
  EXPECT_EQ(driver.to_client, answer + "\x81 frame");
  ASSERT_NE(driver.gateway.upgraded(), nullptr);
  EXPECT_EQ(driver.gateway.upgraded()->path(), "/chat");
  driver.Client("GET /not-http");
  EXPECT_EQ(driver.to_application, ask + "earlyGET /not-http");
  driver.Application(std::string("\0\n\r", 3));
  EXPECT_FALSE(driver.gateway.broken());
}

TEST(GatewayTest, WebSocketThatIsRefusedIsHttpAsBefore) {
  GatewayDriver driver;
  driver.Client(Get("/chat", "Upgrade: websocket\r\n"));
  driver.Application(kOk);
  driver.Client(Get("/b"));
  EXPECT_TRUE(driver.to_application.ends_with(Get("/b")));
}

TEST(GatewayTest, NobodySwitchesToWhatWasNotAskedFor) {
  GatewayDriver driver;
  driver.Client(Get("/",
                    "Connection: Upgrade, HTTP2-Settings\r\n"
                    "Upgrade: h2c\r\nHTTP2-Settings: AA\r\n"));
  EXPECT_EQ(driver.to_application, Get("/"));
  driver.Application("HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n");
  EXPECT_TRUE(driver.gateway.broken());
  EXPECT_EQ(driver.to_client, "");
}

TEST(GatewayTest, ABadRequestIsTheLast) {
  for (const std::string& bad :
       {Get("/bad"), Get("/", "A: b\n"), Get("/", "Content-Length: 1, 1\r\n"),
        std::string("hello world\r\n\r\n"),
        base::StrCat("GET /", std::string(kMaxHeadBytes, 'a'))}) {
    GatewayDriver driver;
    driver.judge = Rule;
    driver.Client(bad);
    driver.Client(Get("/next"));
    EXPECT_EQ(driver.to_application, "") << bad.substr(0, 100);
    EXPECT_THAT(driver.to_client, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_THAT(driver.to_client, HasSubstr("connection: close\r\n"));
    EXPECT_TRUE(driver.gateway.closing());
    EXPECT_FALSE(driver.gateway.error().ok());
    EXPECT_TRUE(driver.pending().empty());
  }
}

TEST(GatewayTest, WhatCannotBeHttpGetsNoAnswer) {
  GatewayDriver driver;
  driver.Client("\x16\x03\x01 TLS");
  EXPECT_TRUE(driver.gateway.closing());
  EXPECT_FALSE(driver.gateway.error().ok());
  EXPECT_EQ(driver.to_client, "");
}

TEST(GatewayTest, ABadChunkCutsTheRequest) {
  GatewayDriver driver;
  driver.Client(Get("/", "Transfer-Encoding: chunked\r\n"));
  driver.Client("1\r\nx\r\nGET /smuggled HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(driver.gateway.cut());
  EXPECT_THAT(driver.to_client, StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(driver.to_application.ends_with("1\r\nx\r\n"));
  // When an answer has begun there is no way to say it.
  GatewayDriver late;
  late.Client(Get("/", "Transfer-Encoding: chunked\r\n"));
  late.Application("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
  late.Client("?\r\n");
  EXPECT_TRUE(late.gateway.cut());
  EXPECT_TRUE(late.gateway.broken());
  EXPECT_TRUE(late.to_client.ends_with("\r\n\r\nhe"));
}

TEST(GatewayTest, TheEndOfTheApplicationIsTheEnd) {
  GatewayDriver driver;
  driver.Client(Get("/"));
  driver.Application(kOk);
  driver.gateway.ApplicationEnded();
  EXPECT_TRUE(driver.gateway.closing());
  driver.Client(Get("/next"));
  EXPECT_EQ(driver.to_application, Get("/"));
  EXPECT_EQ(driver.requests, 1);
}

// Work grows with the bytes and not with their square: else this never ends.
TEST(GatewayTest, AFloodOfEmptyLinesCostsNoMoreThanItsBytes) {
  GatewayDriver driver;
  std::string flood;
  for (int i = 0; i < 8 << 20; ++i) flood += "\r\n";
  driver.Client(flood + Get("/a"));
  EXPECT_EQ(driver.to_application, Get("/a"));
}

TEST(GatewayTest, EmptyLinesBetweenRequestsAreSkipped) {
  GatewayDriver driver;
  driver.Client("\r\n" + Get("/a"));
  driver.Application(kOk);
  driver.Client("\r\n\r\n\r\n" + Get("/b"));
  EXPECT_EQ(driver.to_application, Get("/a") + Get("/b"));
}

// A conversation with everything in it comes out the same wherever it is cut.
TEST(GatewayTest, EverySplitOfTheInputIsTheSame) {
  const std::string asked = base::StrCat(
      Get("/a"),
      "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "\r\n",
      Get("/no"),
      "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "A;x=y\r\n0123456789\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n",
      "POST /no HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\n\r\n",
      Get("/chat", "Upgrade: websocket\r\n"), "raw\r\n\r\nbytes");
  const std::string answers[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: chunked"
      "\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
      "HTTP/1.1 101 Switch\r\nUpgrade: websocket\r\n\r\nraw"};
  const auto run = [&](size_t split, size_t step) {
    GatewayDriver driver;
    driver.judge = Rule;
    driver.certificate = "C";
    driver.Client(asked.substr(0, split));
    for (size_t i = split; i < asked.size(); i += step) {
      driver.Client(std::string_view(asked).substr(i, step));
    }
    for (const std::string& answer : answers) {
      const size_t cut = split % answer.size();
      driver.Application(answer.substr(0, cut));
      for (size_t i = cut; i < answer.size(); i += step) {
        driver.Application(std::string_view(answer).substr(i, step));
      }
    }
    EXPECT_EQ(driver.requests, 6);
    EXPECT_FALSE(driver.gateway.broken()) << driver.gateway.error();
    return std::pair(driver.to_application, driver.to_client);
  };
  const auto whole = run(0, asked.size());
  EXPECT_TRUE(whole.first.ends_with("raw\r\n\r\nbytes"));
  for (size_t split = 0; split <= asked.size(); ++split) {
    EXPECT_EQ(run(split, asked.size()), whole) << split;
  }
  for (size_t step = 1; step < 20; ++step) {
    EXPECT_EQ(run(0, step), whole) << step;
  }
}

}  // namespace
}  // namespace nodeward::http
