// SPDX-License-Identifier: Apache-2.0
#include "http/head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace nodeward::http {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Get(std::string_view fields,
                std::string_view line = "GET /a HTTP/1.1") {
  return base::StrCat(line, "\r\n", fields, "\r\n");
}

RequestHead Parsed(std::string_view text) {
  auto head = RequestHead::Parse(text);
  EXPECT_TRUE(head.ok()) << text << head.status();
  return *std::move(head);
}

TEST(RequestHeadTest, KnowsWhatPoliciesAsk) {
  const RequestHead head =
      Parsed(Get("HOST: Example.com:80\r\nX-Y: Z\r\n", "POST /a?b HTTP/1.1"));
  EXPECT_EQ(head.method(), "POST");
  EXPECT_EQ(head.host(), "Example.com:80");
  EXPECT_EQ(head.path(), "/a?b");
  EXPECT_EQ(head.fields()[1].name, "X-Y");
  EXPECT_EQ(head.fields()[1].key, "x-y");
  EXPECT_EQ(head.fields()[1].value, "Z");
  EXPECT_EQ(head.framing(), Framing::kNone);
  EXPECT_FALSE(head.last());
}

TEST(RequestHeadTest, MayBeMoved) {
  std::vector<RequestHead> heads;
  for (int i = 0; i < 20; ++i) heads.push_back(Parsed(Get("Host: x\r\n")));
  for (const RequestHead& head : heads) {
    EXPECT_EQ(head.method(), "GET");
    EXPECT_EQ(head.fields()[0].key, "host");
  }
}

TEST(RequestHeadTest, KnowsWhichIsTheLast) {
  EXPECT_TRUE(Parsed(Get("", "GET / HTTP/1.0")).last());
  EXPECT_FALSE(
      Parsed(Get("Connection: keep-alive\r\n", "GET / HTTP/1.0")).last());
  EXPECT_TRUE(Parsed(Get("Host: x\r\nConnection: a, Close\r\n")).last());
}

TEST(RequestHeadTest, TheTargetBeatsHost) {
  const RequestHead head =
      Parsed(Get("Host: lie\r\n", "GET http://truth:8?x HTTP/1.1"));
  EXPECT_EQ(head.host(), "truth:8");
  EXPECT_EQ(head.path(), "/?x");
  EXPECT_EQ(head.Rewrite(""), "GET /?x HTTP/1.1\r\nHost: truth:8\r\n\r\n");
}

TEST(RequestHeadTest, RewritesNothingElse) {
  const std::string text =
      Get("Host: x\r\nA: 1\r\na: 2\r\nConnection: keep-alive\r\nTE: trailers"
          "\r\nContent-Length: 3\r\n",
          "PUT /%7e?q HTTP/1.1");
  EXPECT_EQ(Parsed(text).Rewrite(""), text);
}

TEST(RequestHeadTest, OnlyOurClientCertificateGoesOn) {
  for (const std::string_view name :
       {"X-Forwarded-Client-Cert", "x-forwarded-client-cert",
        "X_Forwarded_Client_Cert", "X-Forwarded_CLIENT-Cert",
        "X.Forwarded.Client.Cert"}) {
    const RequestHead head = Parsed(
        Get(base::StrCat("Host: x\r\n", name, ": URI=spiffe://forged\r\n", name,
                         ": again\r\n", "Connection: close, ", name, "\r\n")));
    EXPECT_EQ(head.Rewrite(""),
              "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(head.Rewrite("By=a;URI=b"),
              "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
              "X-Forwarded-Client-Cert: By=a;URI=b\r\n\r\n");
  }
}

TEST(RequestHeadTest, OnlyWebSocketIsSwitchedTo) {
  const RequestHead h2c =
      Parsed(Get("Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                 "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"));
  EXPECT_EQ(h2c.upgrade(), Upgrade::kH2c);
  EXPECT_EQ(h2c.Rewrite(""), "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string text =
      Get("Host: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n");
  EXPECT_EQ(Parsed(text).upgrade(), Upgrade::kWebSocket);
  EXPECT_EQ(Parsed(text).Rewrite(""), text);
  for (const std::string_view other :
       {"TLS/1.0", "h2c, websocket", "websocket/13"}) {
    const RequestHead head =
        Parsed(Get(base::StrCat("Host: x\r\nUpgrade: ", other, "\r\n")));
    EXPECT_EQ(head.upgrade(), Upgrade::kOther) << other;
    EXPECT_THAT(head.Rewrite(""), Not(HasSubstr("Upgrade"))) << other;
  }
}

TEST(RequestHeadTest, KnowsHowTheBodyEnds) {
  const RequestHead length = Parsed(Get("Host: x\r\nContent-Length: 042\r\n"));
  EXPECT_EQ(length.framing(), Framing::kLength);
  EXPECT_EQ(length.length(), 42u);
  EXPECT_EQ(Parsed(Get("Host: x\r\nTransfer-Encoding: Chunked\r\n")).framing(),
            Framing::kChunked);
  EXPECT_TRUE(
      Parsed(Get("Host: x\r\nExpect: 100-Continue\r\n")).expects_continue());
}

// Each is taken for two different things by some pair of programs.
TEST(RequestHeadTest, RefusesWhatSmuggles) {
  const std::string nul(1, '\0');
  for (const std::string& fields : {
           std::string("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
           std::string("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
           std::string("Content-Length: 4\r\nContent-Length: 4\r\n"),
           std::string("Content-Length: 4\r\nContent-Length: 5\r\n"),
           std::string("Content-Length: 4, 4\r\n"),
           std::string("Content-Length: +4\r\n"),
           std::string("Content-Length: -4\r\n"),
           std::string("Content-Length: 0x4\r\n"),
           std::string("Content-Length: 4 4\r\n"),
           std::string("Content-Length:\r\n"),
           std::string("Content-Length: 4;\r\n"),
           std::string("Content-Length: 18446744073709551620\r\n"),
           std::string("Content_Length: 4\r\n"),
           std::string("Transfer_Encoding: chunked\r\n"),
           std::string("Transfer-Encoding: gzip, chunked\r\n"),
           std::string("Transfer-Encoding: chunked, chunked\r\n"),
           std::string("Transfer-Encoding: chunked, identity\r\n"),
           std::string("Transfer-Encoding: identity\r\n"),
           std::string("Transfer-Encoding: xchunked\r\n"),
           std::string("Transfer-Encoding: \"chunked\"\r\n"),
           std::string("Transfer-Encoding: chunked;q=1\r\n"),
           std::string("Transfer-Encoding:\r\n"),
           std::string("Transfer-Encoding: \x0b") + "chunked\r\n",
           std::string("Transfer-Encoding: chunked\r\nTransfer-Encoding: "
                       "chunked\r\n"),
           std::string("Transfer-Encoding : chunked\r\n"),
           std::string("Content-Length : 4\r\n"),
           std::string(" Content-Length: 4\r\n"),
           std::string("A: b\r\n Transfer-Encoding: chunked\r\n"),
           std::string("A: b\r\n\tfolded\r\n"),
           std::string("A: b\nTransfer-Encoding: chunked\r\n"),
           std::string("A: b\rTransfer-Encoding: chunked\r\n"),
           "A: b" + nul + "c\r\n",
           std::string("A: b\x7f\r\n"),
           std::string("A\xe9: b\r\n"),
           std::string("A b: c\r\n"),
           std::string("no colon\r\n"),
           std::string("Host: y\r\n"),
       }) {
    EXPECT_FALSE(
        RequestHead::Parse(Get("Host: x\r\n" + fields, "POST /a HTTP/1.1"))
            .ok())
        << fields;
  }
  EXPECT_FALSE(RequestHead::Parse(
                   Get("Transfer-Encoding: chunked\r\n", "POST /a HTTP/1.0"))
                   .ok());
}

TEST(RequestHeadTest, RefusesWhatIsNoRequest) {
  for (const std::string_view line : {"GET /a",
                                      "GET  /a HTTP/1.1",
                                      "GET /a  HTTP/1.1",
                                      "GET /a b HTTP/1.1",
                                      "GET /a HTTP/1.2",
                                      "GET /a HTTP/2.0",
                                      "GET /a HTTP/0.9",
                                      "GET /a http/1.1",
                                      "PRI * HTTP/2.0",
                                      "GET a HTTP/1.1",
                                      "GET * HTTP/1.1",
                                      "GET /a#b HTTP/1.1",
                                      "GET http:///a HTTP/1.1",
                                      "GET http://u@h/a HTTP/1.1",
                                      "GET ftp://h/a HTTP/1.1",
                                      "GET\t/a HTTP/1.1",
                                      " GET /a HTTP/1.1",
                                      "G\"T /a HTTP/1.1",
                                      "CONNECT / HTTP/1.1",
                                      "GET \x01 HTTP/1.1"}) {
    EXPECT_FALSE(RequestHead::Parse(Get("Host: x\r\n", line)).ok()) << line;
  }
  EXPECT_FALSE(RequestHead::Parse(Get("A: b\r\n")).ok()) << "no Host";
  for (const std::string_view host : {"a b", "a/b", "a,b", "u@h", "a#b"}) {
    EXPECT_FALSE(
        RequestHead::Parse(Get(base::StrCat("Host: ", host, "\r\n"))).ok())
        << host;
  }
}

TEST(RequestHeadTest, BoundsTheNumberOfFields) {
  std::string fields = "Host: x\r\n";
  for (size_t i = 1; i < kMaxFields; ++i) fields += "A: b\r\n";
  EXPECT_TRUE(RequestHead::Parse(Get(fields)).ok());
  EXPECT_FALSE(RequestHead::Parse(Get(fields + "A: b\r\n")).ok());
}

TEST(ResponseHeadTest, KnowsHowTheBodyEnds) {
  const auto framing = [](std::string_view text, bool to_head = false) {
    const auto head = ResponseHead::Parse(text, to_head);
    EXPECT_TRUE(head.ok()) << head.status();
    return head->framing;
  };
  const std::string_view length =
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  EXPECT_EQ(framing(length), Framing::kLength);
  EXPECT_EQ(framing(length, true), Framing::kNone);
  EXPECT_EQ(framing("HTTP/1.1 200\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
            Framing::kChunked);
  EXPECT_EQ(framing("HTTP/1.0 200 OK\r\n\r\n"), Framing::kUntilEnd);
  for (const std::string_view status : {"100", "101", "204", "304"}) {
    EXPECT_EQ(framing(base::StrCat("HTTP/1.1 ", status,
                                   " X\r\nContent-Length: 5\r\n\r\n")),
              Framing::kNone);
  }
}

TEST(ResponseHeadTest, RefusesWhatIsNone) {
  for (const std::string_view text :
       {"HTTP/1.1 abc OK\r\n\r\n", "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n"}) {
    EXPECT_FALSE(ResponseHead::Parse(text, false).ok()) << text;
  }
}

}  // namespace
}  // namespace nodeward::http
