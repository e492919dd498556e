// SPDX-License-Identifier: Apache-2.0
#include "kube/web_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace nodeward::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// RFC 6455, section 1.3.
constexpr char kKey[] = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccepted =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n"
    "Sec-WebSocket-Protocol: two\r\n\r\n";

class WebSocketTest : public testing::Test {
 protected:
  static WebSocket::Opening Opening() {
    WebSocket::Opening opening{.host = "h:1",
                               .target = "/x?y=z",
                               .headers = {"Authorization: Bearer t"},
                               .protocols = {"one", "two"},
                               .nonce = {},
                               .random = [] { return 0x04030201u; }};
    const std::string_view nonce = "the sample nonce";
    std::copy(nonce.begin(), nonce.end(), opening.nonce.begin());
    return opening;
  }
  base::Status Feed(std::string_view bytes) {
    return socket_.Feed(bytes, [this](std::string_view message) {
      messages_.emplace_back(message);
    });
  }
  void Accept() {
    socket_.TakeOutput();
    ASSERT_TRUE(Feed(kAccepted).ok());
  }
  static std::string Frame(int first, const std::string& payload) {
    std::string frame;
    frame += static_cast<char>(first);
    if (payload.size() < 126) {
      frame += static_cast<char>(payload.size());
    } else {
      const int size = payload.size() < 65536 ? 2 : 8;
      frame += static_cast<char>(size == 2 ? 126 : 127);
      for (int i = size - 1; i >= 0; --i) {
        frame += static_cast<char>(payload.size() >> (8 * i));
      }
    }
    return frame + payload;
  }

  WebSocket socket_{Opening()};
  std::vector<std::string> messages_;
};

TEST_F(WebSocketTest, AsksToBeUpgraded) {
  EXPECT_EQ(socket_.TakeOutput(),
            base::StrCat("GET /x?y=z HTTP/1.1\r\nHost: h:1\r\n"
                         "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
                         kKey,
                         "\r\nSec-WebSocket-Protocol: one, two\r\n"
                         "Authorization: Bearer t\r\n\r\n"));
  EXPECT_EQ(socket_.TakeOutput(), "");
}

TEST_F(WebSocketTest, TakesMessagesOfEverySize) {
  Accept();
  const std::string medium(300, 'm');
  const std::string large(70000, 'l');
  ASSERT_TRUE(Feed(Frame(0x82, "") + Frame(0x81, "small") +
                   Frame(0x82, medium) + Frame(0x82, large))
                  .ok());
  EXPECT_THAT(messages_, ElementsAre("", "small", medium, large));
  EXPECT_FALSE(socket_.closed());
}

TEST_F(WebSocketTest, BytesMayComeOneByOne) {
  socket_.TakeOutput();
  const std::string all = std::string(kAccepted) + Frame(0x82, "ab") +
                          Frame(0x82, std::string(200, 'c'));
  for (const char c : all) {
    ASSERT_TRUE(Feed(std::string_view(&c, 1)).ok());
  }
  EXPECT_THAT(messages_, ElementsAre("ab", std::string(200, 'c')));
}

TEST_F(WebSocketTest, PutsFragmentsTogether) {
  Accept();
  ASSERT_TRUE(Feed(Frame(0x02, "a") + Frame(0x89, "ping") + Frame(0x00, "b") +
                   Frame(0x80, "c"))
                  .ok());
  EXPECT_THAT(messages_, ElementsAre("abc"));
}

TEST_F(WebSocketTest, AnswersPingsMasked) {
  Accept();
  ASSERT_TRUE(Feed(Frame(0x89, "\x01\x02\x03\x04z")).ok());
  EXPECT_EQ(socket_.TakeOutput(),
            std::string("\x8a\x85\x01\x02\x03\x04\0\0\0\0{", 11));
  ASSERT_TRUE(Feed(Frame(0x8a, "")).ok());  // a pong is no news
  EXPECT_EQ(socket_.TakeOutput(), "");
}

TEST_F(WebSocketTest, ClosesAsItIsTold) {
  Accept();
  EXPECT_FALSE(socket_.Finish().ok());
  ASSERT_TRUE(Feed(Frame(0x88,
                         "\x03\xe8"
                         "bye") +
                   Frame(0x82, "late"))
                  .ok());
  EXPECT_TRUE(socket_.closed());
  EXPECT_TRUE(socket_.Finish().ok());
  EXPECT_THAT(messages_, IsEmpty());
  EXPECT_EQ(socket_.TakeOutput(),
            std::string("\x88\x82\x01\x02\x03\x04\x02\xea", 8));
}

TEST_F(WebSocketTest, ARefusalSaysWhy) {
  const std::string body = R"({"kind":"Status","message":"no right"})";
  const base::Status refused = Feed(
      base::StrCat("HTTP/1.1 403 Forbidden\r\nContent-Length: ", body.size(),
                   "\r\n\r\n", body));
  EXPECT_EQ(refused.message(), "the server answers 403: no right");
}

TEST_F(WebSocketTest, ARefusalMayEndWithTheConnection) {
  ASSERT_TRUE(Feed("HTTP/1.1 500 Oops\r\n\r\nno JSON").ok());
  EXPECT_EQ(socket_.Finish().message(), "the server answers 500");
}

TEST_F(WebSocketTest, AnotherServersAnswerIsNotTaken) {
  const auto rejects = [](std::string_view from, std::string_view to) {
    std::string answer(kAccepted);
    answer.replace(answer.find(from), from.size(), to);
    return !WebSocket(Opening()).Feed(answer, [](std::string_view) {}).ok();
  };
  EXPECT_FALSE(rejects("two", "one"));
  EXPECT_TRUE(rejects("s3pP", "S3pP"));
  EXPECT_TRUE(rejects("two", "three"));
  EXPECT_TRUE(rejects("HTTP/1.1", "HTTP/1.0"));
  EXPECT_TRUE(rejects("HTTP/1.1 101", "HTTP/1.1 abc"));
  EXPECT_FALSE(Feed(std::string(100 << 10, 'x')).ok());
}

TEST_F(WebSocketTest, WhatBreaksTheProtocolEndsIt) {
  const auto breaks = [](const std::string& frames) {
    WebSocket socket(Opening());
    const auto ignore = [](std::string_view) {};
    EXPECT_TRUE(socket.Feed(kAccepted, ignore).ok());
    return !socket.Feed(frames, ignore).ok();
  };
  EXPECT_FALSE(breaks(Frame(0x82, "x")));
  EXPECT_TRUE(breaks(Frame(0xc2, "x")));                     // reserved bit
  EXPECT_TRUE(breaks(std::string("\x82\x81\0\0\0\0x", 7)));  // masked
  EXPECT_TRUE(breaks(Frame(0x80, "x")));  // continues nothing
  EXPECT_TRUE(breaks(Frame(0x02, "x") + Frame(0x82, "x")));
  EXPECT_TRUE(breaks(Frame(0x83, "x")));  // unknown kinds
  EXPECT_TRUE(breaks(Frame(0x8b, "x")));
  EXPECT_TRUE(breaks(Frame(0x09, "x")));                    // a ping in parts
  EXPECT_TRUE(breaks(Frame(0x89, std::string(126, 'x'))));  // a long one
  EXPECT_TRUE(breaks(std::string("\x82\x7f\0\0\0\1\0\0\0\0", 10)));  // 4 GiB
}

}  // namespace
}  // namespace nodeward::kube
