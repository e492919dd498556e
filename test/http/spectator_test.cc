// SPDX-License-Identifier: Apache-2.0
#include "http/spectator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/spectator_fixture.h"

namespace nodeward::http {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SpectatorTest, OtherProtocolsAreKnownByTheirFirstBytes) {
  for (const std::string_view first :
       {std::string_view("*1\r\n$4\r\nPING\r\n"),     // Redis
        std::string_view("\x16\x03\x01\x02\x00", 5),  // TLS
        std::string_view("\0\0\0\x3a", 4),            // MongoDB
        std::string_view("hello\n"), std::string_view("GET /\r\n"),
        std::string_view("GET / HTTP/2.0\r\n"),
        std::string_view("PRI * HTTP/2.0\r\n\r\nXX"),
        std::string_view("averylongwordthatisnomethodofhttpatall")}) {
    Watched watched;
    watched.Client(first);
    EXPECT_THAT(watched.told, ElementsAre("opaque")) << first;
    // It listens no more.
    watched.Client("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    watched.Server("HTTP/1.1 200 OK\r\n\r\n");
    watched.spectator.End("reset");
    EXPECT_THAT(watched.told, ElementsAre("opaque")) << first;
  }
}

TEST(SpectatorTest, AServerThatSpeaksFirstSpeaksNoHttp) {
  Watched watched;
  watched.Server("220 mail ready\r\n");
  EXPECT_THAT(watched.told, ElementsAre("opaque"));
}

TEST(SpectatorTest, UnlessItIsHttp2WhoseServerNeedNotWait) {
  constexpr std::string_view kSettings("\0\0\6\4\0\0\0\0\0\0\3\0\0\0d", 15);
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  Watched watched;
  watched.ServerByByte(kSettings);
  watched.ClientByByte(kPreface);
  // Frames are read: one that must not come is noticed.
  EXPECT_THAT(watched.told, IsEmpty());
  watched.Server(std::string_view("\0\0\1\x09\4\0\0\0\1", 9));
  EXPECT_THAT(watched.told, ElementsAre("opaque"));
  Watched other;
  other.Server(kSettings);
  other.Client("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(other.told, ElementsAre("opaque"));
  Watched flood;
  for (int i = 0; i < 100; ++i) flood.Server(kSettings);
  EXPECT_THAT(flood.told, ElementsAre("opaque"));
}

TEST(SpectatorTest, AConnectionWithoutARequestIsOpaqueAtItsEnd) {
  Watched silent;
  silent.spectator.End("");
  EXPECT_THAT(silent.told, ElementsAre("opaque"));
  Watched begun;
  begun.Client("PRI * HT");
  begun.spectator.End("");
  EXPECT_THAT(begun.told, ElementsAre("opaque"));
  Watched half;
  half.Client("GET / HTTP/1.1\r\nHo");
  EXPECT_THAT(half.told, IsEmpty());
  half.spectator.End("reset");
  EXPECT_THAT(half.told, ElementsAre("opaque"));
}

TEST(SpectatorTest, AMethodThatBeginsLikeThePrefaceIsAMethod) {
  Watched watched;
  watched.Client("P");
  watched.Client("R");
  watched.Client("OPFIND /dav HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(watched.told, ElementsAre("0 PROPFIND h /dav"));
}

TEST(SpectatorTest, WhoHasLeftHearsNothing) {
  Watched watched;
  watched.Client("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  watched.told.clear();
  watched.spectator.Leave();
  watched.Server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  watched.spectator.End("");
  EXPECT_THAT(watched.told, IsEmpty());
}

}  // namespace
}  // namespace nodeward::http
