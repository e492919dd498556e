// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/head.h"
#include "http/spectator_fixture.h"

namespace nodeward::http {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kGet = "GET /a?b=c HTTP/1.1\r\nHost: web:80\r\n\r\n";
constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

TEST(Http1SightTest, ARequestAndItsAnswer) {
  Watched watched;
  watched.Client(kGet);
  watched.Server(kOk);
  EXPECT_THAT(watched.told, ElementsAre("0 GET web:80 /a?b=c", "0 200"));
  watched.Server("ok");
  EXPECT_THAT(watched.told,
              ElementsAre("0 GET web:80 /a?b=c", "0 200", "0 end 2"));
}

TEST(Http1SightTest, InWhateverPieces) {
  Watched watched;
  for (int i = 0; i < 2; ++i) {
    watched.ClientByByte(
        "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n0\r\n\r\n");
    watched.ServerByByte(
        "HTTP/1.1 100 Continue\r\n\r\n"
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2;x=y\r\nab\r\n5\r\ncdefg\r\n0\r\nT: v\r\n\r\n");
  }
  EXPECT_THAT(watched.told, ElementsAre("0 POST h /p", "0 201", "0 end 7",
                                        "1 POST h /p", "1 201", "1 end 7"));
}

TEST(Http1SightTest, PipelinedRequestsInTheirOrder) {
  Watched watched;
  watched.Client(
      "HEAD /0 HTTP/1.1\r\nHost: h\r\n\r\n\r\n"
      "PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
      "GET /2 HTTP/1.0\r\n\r\n");
  watched.Server(
      "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
      "HTTP/1.1 204 No Content\r\n\r\n"
      "HTTP/1.0 200 OK\r\n\r\nuntil ");
  watched.Server("the end");
  watched.spectator.End("");
  EXPECT_THAT(watched.told,
              ElementsAre("0 HEAD h /0", "1 PUT h /1", "2 GET  /2", "0 200",
                          "0 end 0", "1 204", "1 end 0", "2 200", "2 end 13"));
}

TEST(Http1SightTest, WhatIsCutOffSaysWhy) {
  Watched reset;
  reset.Client(kGet);
  reset.Client(kGet);
  reset.Server(kOk);
  reset.Server("o");
  reset.spectator.End("reset");
  EXPECT_THAT(reset.told,
              ElementsAre("0 GET web:80 /a?b=c", "1 GET web:80 /a?b=c", "0 200",
                          "0 end 1 reset", "1 end 0 reset"));
  Watched closed;
  closed.Client(kGet);
  closed.spectator.End("");
  EXPECT_THAT(closed.told,
              ElementsAre("0 GET web:80 /a?b=c", "0 end 0 closed"));
}

TEST(Http1SightTest, AWebSocketIsAStreamOfBytesBehindItsAnswer) {
  Watched watched;
  watched.Client(
      "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n"
      "Upgrade: websocket\r\n\r\n");
  watched.Server(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
      "Upgrade: websocket\r\n\r\n\x81\x02hi");
  watched.Client("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(watched.told,
              ElementsAre("0 GET h /ws", "0 101", "0 end 0", "opaque"));
}

TEST(Http1SightTest, SoIsATunnel) {
  Watched watched;
  watched.Client("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n");
  watched.Server("HTTP/1.1 200 OK\r\n\r\n");
  watched.Server("bytes");
  EXPECT_THAT(watched.told,
              ElementsAre("0 CONNECT h:1 ", "0 200", "0 end 0", "opaque"));
}

TEST(Http1SightTest, WhatCannotBeReadEndsTheStory) {
  for (const std::string_view second :
       {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
        "Content-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nno"}) {
    Watched watched;
    watched.Client(kGet);
    watched.Server(kOk);
    watched.Server("ok");
    watched.told.clear();
    watched.Client(second);
    EXPECT_EQ(watched.told.back(), "opaque") << second;
  }
  Watched excess;
  excess.Client(kGet);
  excess.Server(kOk);
  excess.Server("ok, and more");
  EXPECT_THAT(excess.told,
              ElementsAre("0 GET web:80 /a?b=c", "0 200", "0 end 2", "opaque"));
}

TEST(Http1SightTest, WhatItHoldsIsBounded) {
  Watched head;
  head.Client("GET / HTTP/1.1\r\n");
  const std::string field = "A: " + std::string(1000, 'a') + "\r\n";
  for (size_t i = 0; i < kMaxHeadBytes / field.size() + 1; ++i) {
    head.Client(field);
  }
  EXPECT_THAT(head.told, ElementsAre("opaque"));
  Watched many;
  for (int i = 0; i < 1000; ++i) many.Client(kGet);
  // 256 are awaited and given up.
  EXPECT_EQ(many.told.size(), 256u * 2 + 1);
  EXPECT_EQ(many.told[256], "0 end 0 unreadable");
  EXPECT_EQ(many.told.back(), "opaque");
}

}  // namespace
}  // namespace nodeward::http
