// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <initializer_list>
#include <utility>

#include "base/handle.h"
#include "http/spectator_fixture.h"

namespace nodeward::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Fields =
    std::initializer_list<std::pair<std::string_view, std::string_view>>;

// One side of a connection, as nghttp2 encodes it.
class Speaker {
 public:
  explicit Speaker(size_t table = 4096) {
    nghttp2_hd_deflater* made = nullptr;
    EXPECT_EQ(nghttp2_hd_deflate_new(&made, table), 0);
    deflater_.reset(made);
    if (table != 4096) {
      EXPECT_EQ(nghttp2_hd_deflate_change_table_size(made, table), 0);
    }
  }
  static std::string Frame(uint8_t type, uint8_t flags, int32_t stream,
                           std::string_view payload) {
    std::string frame;
    for (const int shift : {16, 8, 0}) {
      frame += static_cast<char>(payload.size() >> shift);
    }
    frame += static_cast<char>(type);
    frame += static_cast<char>(flags);
    for (const int shift : {24, 16, 8, 0}) {
      frame += static_cast<char>(stream >> shift);
    }
    return frame + std::string(payload);
  }
  std::string Block(Fields fields) {
    std::vector<nghttp2_nv> all;
    for (const auto& [name, value] : fields) {
      all.push_back({Bytes(name), Bytes(value), name.size(), value.size(), 0});
    }
    std::string block(
        nghttp2_hd_deflate_bound(deflater_.get(), all.data(), all.size()), 0);
    const ssize_t size = nghttp2_hd_deflate_hd(
        deflater_.get(), Bytes(block), block.size(), all.data(), all.size());
    EXPECT_GE(size, 0);
    block.resize(static_cast<size_t>(size));
    return block;
  }
  std::string Headers(int32_t stream, Fields fields, bool last = false) {
    return Frame(NGHTTP2_HEADERS, last ? 5 : 4, stream, Block(fields));
  }
  static std::string Data(int32_t stream, std::string_view bytes,
                          bool last = false) {
    return Frame(NGHTTP2_DATA, last ? 1 : 0, stream, bytes);
  }

 private:
  static uint8_t* Bytes(std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  }
  base::Handle<nghttp2_hd_deflater, nghttp2_hd_deflate_del> deflater_;
};

class Http2SightTest : public ::testing::Test {
 protected:
  Http2SightTest() {
    watched_.Client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    watched_.Client(Speaker::Frame(NGHTTP2_SETTINGS, 0, 0, ""));
    watched_.Server(Speaker::Frame(NGHTTP2_SETTINGS, 0, 0, ""));
  }
  std::string Get(int32_t stream, std::string_view path, bool last = true) {
    return client_.Headers(stream,
                           {{":method", "GET"},
                            {":scheme", "http"},
                            {":authority", "web.emojivoto:80"},
                            {":path", path}},
                           last);
  }

  Watched watched_;
  Speaker client_;
  Speaker server_;
};

TEST_F(Http2SightTest, ExchangesSideBySide) {
  watched_.Client(Get(1, "/a"));
  watched_.Client(Get(3, "/b"));
  watched_.Server(server_.Headers(3, {{":status", "404"}}, true));
  watched_.Server(server_.Headers(1, {{":status", "103"}}));
  watched_.Server(server_.Headers(1, {{":status", "200"}}));
  watched_.Server(Speaker::Data(1, "12345") + Speaker::Data(1, "678", true));
  EXPECT_THAT(watched_.told, ElementsAre("0 GET web.emojivoto:80 /a",
                                         "1 GET web.emojivoto:80 /b", "1 404",
                                         "1 end 0", "0 200", "0 end 8"));
}

TEST_F(Http2SightTest, GrpcStatusOfTrailersByteByByte) {
  watched_.ClientByByte(
      client_.Headers(1, {{":method", "POST"},
                          {":path", "/emojivoto.v1.EmojiService/ListAll"},
                          {":scheme", "http"},
                          {"host", "emoji-svc.emojivoto:8080"},
                          {"te", "trailers"}}) +
      Speaker::Data(1, std::string(5, '\0'), true));
  watched_.ServerByByte(server_.Headers(1, {{":status", "200"}}));
  watched_.ServerByByte(Speaker::Data(1, "answer"));
  watched_.ServerByByte(server_.Headers(1, {{"grpc-status", "5"}}, true));
  EXPECT_THAT(watched_.told, ElementsAre("0 POST emoji-svc.emojivoto:8080 "
                                         "/emojivoto.v1.EmojiService/ListAll",
                                         "0 200", "0 end 6 grpc 5"));
}

TEST_F(Http2SightTest, PaddingPriorityAndContinuation) {
  const std::string block = client_.Block({{":method", "GET"},
                                           {":scheme", "http"},
                                           {":authority", "h"},
                                           {":path", "/long/enough/to/cut"}});
  std::string first("\x02", 1);             // padding
  first += std::string("\0\0\0\0\x10", 5);  // priority
  first += block.substr(0, 5) + std::string(2, '\0');
  watched_.Client(Speaker::Frame(NGHTTP2_HEADERS, 0x8 | 0x20 | 0x1, 1, first));
  watched_.Client(
      Speaker::Frame(NGHTTP2_CONTINUATION, 0, 1, block.substr(5, 3)));
  watched_.Client(
      Speaker::Frame(NGHTTP2_CONTINUATION, 0x4, 1, block.substr(8)));
  watched_.Server(server_.Headers(1, {{":status", "200"}}));
  watched_.ServerByByte(Speaker::Frame(NGHTTP2_DATA, 0x8 | 0x1, 1,
                                       std::string("\x03") + "body" + "pad"));
  EXPECT_THAT(watched_.told,
              ElementsAre("0 GET h /long/enough/to/cut", "0 200", "0 end 4"));
}

TEST_F(Http2SightTest, AResetAndTheEndOfTheConnection) {
  watched_.Client(Get(1, "/a"));
  watched_.Client(Get(3, "/b"));
  watched_.Client(
      Speaker::Frame(NGHTTP2_RST_STREAM, 0, 1, std::string("\0\0\0\x08", 4)));
  watched_.Server(server_.Headers(1, {{":status", "200"}}, true));
  watched_.spectator.End("reset");
  EXPECT_THAT(watched_.told, ElementsAre("0 GET web.emojivoto:80 /a",
                                         "1 GET web.emojivoto:80 /b",
                                         "0 end 0 CANCEL", "1 end 0 reset"));
}

TEST_F(Http2SightTest, AnEncoderMayUseALargerTable) {
  Speaker large(32 << 10);
  watched_.Client(large.Headers(
      1, {{":method", "GET"}, {":path", "/"}, {":authority", "h"}}));
  EXPECT_THAT(watched_.told, ElementsAre("0 GET h /"));
}

TEST_F(Http2SightTest, APromiseKeepsTheTableRight) {
  watched_.Client(Get(1, "/a"));
  const std::string promised = server_.Block(
      {{":method", "GET"}, {":path", "/pushed"}, {"x-new", "in-the-table"}});
  watched_.Server(Speaker::Frame(NGHTTP2_PUSH_PROMISE, 0x4, 1,
                                 std::string("\0\0\0\2", 4) + promised));
  watched_.Server(server_.Headers(
      1, {{":status", "200"}, {"x-new", "in-the-table"}, {"grpc-status", "0"}},
      true));
  EXPECT_THAT(watched_.told, ElementsAre("0 GET web.emojivoto:80 /a", "0 200",
                                         "0 end 0 grpc 0"));
}

TEST_F(Http2SightTest, WhatCannotBeReadEndsTheStory) {
  watched_.Client(Get(1, "/a"));
  watched_.Client(Speaker::Frame(NGHTTP2_HEADERS, 0x4, 3, "\xff\xff\xff\xff"));
  EXPECT_THAT(watched_.told, ElementsAre("0 GET web.emojivoto:80 /a",
                                         "0 end 0 unreadable", "opaque"));
}

TEST_F(Http2SightTest, ABlockIsNotInterrupted) {
  watched_.Client(Speaker::Frame(NGHTTP2_HEADERS, 0, 1, "\x82"));
  watched_.Client(Speaker::Data(1, "x"));
  EXPECT_THAT(watched_.told, ElementsAre("opaque"));
}

TEST_F(Http2SightTest, StreamsAndBlocksAreBounded) {
  for (int i = 0; i < 2000; ++i) watched_.Client(Get(2 * i + 1, "/"));
  EXPECT_EQ(watched_.told.size(), 1024u);
  watched_.told.clear();
  watched_.Client(Speaker::Frame(NGHTTP2_HEADERS, 0, 5001, "\x82"));
  for (int i = 0; i < 10; ++i) {
    watched_.Client(Speaker::Frame(NGHTTP2_CONTINUATION, 0, 5001,
                                   std::string(16000, '\x82')));
  }
  EXPECT_EQ(watched_.told.back(), "opaque");
  EXPECT_THAT(watched_.told.front(), HasSubstr("unreadable"));
}

}  // namespace
}  // namespace nodeward::http
