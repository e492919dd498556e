// SPDX-License-Identifier: Apache-2.0
#include "http/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <map>
#include <optional>

namespace nodeward::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// One stream's end: records what it is told, sends what it is given.
class End final : public StreamUser {
 public:
  void OnResponse(int code) override { status = code; }
  void OnData(base::ByteSpan bytes) override {
    received += base::AsText(bytes);
  }
  void OnEnd() override { ended = true; }
  void OnClose(uint32_t code) override { closed = code; }
  Pulled Pull(base::MutableByteSpan room) override {
    if (to_send.empty()) {
      return {finish ? Pulled::Kind::kEnd : Pulled::Kind::kLater, 0};
    }
    largest_room = std::max(largest_room, room.size());
    const size_t count = std::min(room.size(), to_send.size());
    std::memcpy(room.data(), to_send.data(), count);
    to_send.erase(0, count);
    largest_pull = std::max(largest_pull, count);
    return {Pulled::Kind::kBytes, count};
  }

  std::string to_send;
  bool finish = false;
  std::string received;
  int status = 0;
  bool ended = false;
  std::optional<uint32_t> closed;
  size_t largest_pull = 0;
  size_t largest_room = 0;
};

// One side of a connection in memory.
class Side final : public SessionUser {
 public:
  explicit Side(Role role, Session::Options options = {}) {
    auto made = Session::Create(role, options, this);
    EXPECT_TRUE(made.ok()) << made.status();
    session = *std::move(made);
  }

  void OnRequest(int32_t stream, Request request) override {
    requests[stream] = request;
    if (refuse_with != 0) {
      session->Refuse(stream, refuse_with);
    } else if (answer) {
      ends[stream] = std::make_unique<End>();
      session->Accept(stream, {}, ends[stream].get());
    }
  }
  void OnGoaway(int32_t last, uint32_t code) override {
    goaways.push_back({last, code});
  }
  void OnSettings() override { ++settings; }
  base::MutableByteSpan PullRoom() override {
    return base::MutableByteSpan(scratch).subspan(Session::kFrameHeader);
  }
  bool Write(base::ByteSpan frame) override {
    out += base::AsText(frame);
    ++frames;
    return out.size() < limit;
  }

  std::unique_ptr<Session> session;
  std::map<int32_t, Request> requests;
  std::map<int32_t, std::unique_ptr<End>> ends;
  std::vector<std::pair<int32_t, uint32_t>> goaways;
  std::vector<uint8_t> scratch = std::vector<uint8_t>(64 << 10);
  std::string out;
  size_t limit = 1 << 30;
  int frames = 0;
  int settings = 0;
  bool answer = true;
  int refuse_with = 0;
};

class SessionTest : public ::testing::Test {
 protected:
  // Carries bytes both ways until nobody has any.
  void Carry(Side* up, Side* down) {
    for (;;) {
      ASSERT_TRUE(up->session->Send().ok());
      ASSERT_TRUE(down->session->Send().ok());
      if (up->out.empty() && down->out.empty()) return;
      const std::string to_down = std::exchange(up->out, "");
      const std::string to_up = std::exchange(down->out, "");
      if (!to_down.empty()) {
        to_server = down->session->Receive(base::AsBytes(to_down), now);
      }
      if (!to_up.empty()) {
        to_client = up->session->Receive(base::AsBytes(to_up), now);
      }
      if (!to_server.ok() || !to_client.ok()) return;
    }
  }
  void Run() { Carry(&client, &server); }
  int32_t Open(End* end, std::string_view authority = "10.0.0.7:80") {
    auto stream = client.session->Connect(authority, {}, end);
    EXPECT_TRUE(stream.ok()) << stream.status();
    return stream.ok() ? *stream : -1;
  }
  // A frame as a hostile client writes it.
  static std::string Frame(uint8_t type, uint8_t flags, uint32_t stream,
                           std::string_view payload) {
    std::string frame;
    const auto size = static_cast<uint32_t>(payload.size());
    for (const int shift : {16, 8, 0}) {
      frame += static_cast<char>((size >> shift) & 0xff);
    }
    frame += static_cast<char>(type);
    frame += static_cast<char>(flags);
    for (const int shift : {24, 16, 8, 0}) {
      frame += static_cast<char>((stream >> shift) & 0xff);
    }
    return frame + std::string(payload);
  }
  base::Status Hostile(const std::string& bytes) {
    return server.session->Receive(base::AsBytes(bytes), now);
  }

  Side client{Role::kClient};
  Side server{Role::kServer};
  absl::Duration now = absl::Seconds(1);
  base::Status to_server;
  base::Status to_client;
};

TEST_F(SessionTest, ConnectCarriesAuthorityAndHeaders) {
  End end;
  const std::vector<Header> headers = {{"forwarded", "for=\"10.0.0.3:5\""}};
  ASSERT_TRUE(client.session->Connect("10.0.0.7:80", headers, &end).ok());
  Run();
  ASSERT_EQ(server.requests.size(), 1u);
  const Request& request = server.requests.begin()->second;
  EXPECT_EQ(request.method, "CONNECT");
  EXPECT_EQ(request.authority, "10.0.0.7:80");
  ASSERT_EQ(request.headers.size(), 1u);
  EXPECT_EQ(request.headers[0].name, "forwarded");
  EXPECT_EQ(end.status, 200);
  EXPECT_FALSE(end.closed.has_value());
}

TEST_F(SessionTest, BytesFlowBothWaysAndEachEndsForItself) {
  End end;
  const int32_t id = Open(&end);
  end.to_send = "hello";
  Run();
  EXPECT_EQ(server.ends[id]->received, "hello");
  end.finish = true;
  client.session->Resume(id);
  Run();
  EXPECT_TRUE(server.ends[id]->ended);
  EXPECT_FALSE(end.ended);
  server.ends[id]->to_send = "world";
  server.session->Resume(id);
  Run();
  EXPECT_EQ(end.received, "world");
  server.ends[id]->finish = true;
  server.session->Resume(id);
  Run();
  EXPECT_TRUE(end.ended);
  EXPECT_EQ(end.closed, error_code::kNoError);
  EXPECT_EQ(server.ends[id]->closed, error_code::kNoError);
  EXPECT_EQ(client.session->open_streams(), 0u);
}

TEST_F(SessionTest, DataGoesInFramesAsLargeAsTheRoom) {
  End end;
  const int32_t id = Open(&end);
  Run();
  end.to_send = std::string(200'000, 'x');
  client.session->Resume(id);
  Run();
  EXPECT_EQ(server.ends[id]->received.size(), 200'000u);
  EXPECT_EQ(end.largest_pull, client.scratch.size() - Session::kFrameHeader);
}

// nghttp2 allocates what is asked for, in every session.
TEST_F(SessionTest, SmallMessagesAreNotAskedForInLargeRooms) {
  End end;
  const int32_t id = Open(&end);
  Run();
  for (int i = 0; i < 3; ++i) {
    end.to_send = std::string(16'383, 'x');
    client.session->Resume(id);
    Run();
  }
  EXPECT_EQ(server.ends[id]->received.size(), 3 * 16'383u);
  EXPECT_EQ(end.largest_room, 16'384u);
}

TEST_F(SessionTest, WindowHoldsTheSenderUntilBytesAreConsumed) {
  Side small{Role::kServer, {.stream_window = 65'535}};
  End end;
  const int32_t id = Open(&end);
  end.to_send = std::string(500'000, 'x');
  Carry(&client, &small);
  EXPECT_EQ(small.ends[id]->received.size(), 65'535u);
  small.session->Consume(id, 65'535);
  small.session->ConsumeConnection(65'535);
  Carry(&client, &small);
  EXPECT_EQ(small.ends[id]->received.size(), 2 * 65'535u);
}

TEST_F(SessionTest, AFullOutputStopsTheSenderWithoutLoss) {
  End end;
  const int32_t id = Open(&end);
  Run();
  end.to_send = std::string(400'000, 'x');
  client.limit = 1;  // every frame fills it
  client.session->Resume(id);
  ASSERT_TRUE(client.session->Send().ok());
  EXPECT_LE(client.out.size(), client.scratch.size() + 100);
  EXPECT_TRUE(client.session->wants_send());
  Run();
  EXPECT_EQ(server.ends[id]->received.size(), 400'000u);
}

TEST_F(SessionTest, ResetReachesTheOtherSideWithItsCode) {
  End end;
  const int32_t id = Open(&end);
  Run();
  client.session->Reset(id, error_code::kConnectError);
  Run();
  EXPECT_EQ(server.ends[id]->closed, error_code::kConnectError);
  EXPECT_TRUE(end.closed.has_value());
}

TEST_F(SessionTest, ForgottenStreamsDropWhatComes) {
  End end;
  const int32_t id = Open(&end);
  Run();
  client.session->Forget(id);
  server.ends[id]->to_send = "late";
  server.session->Resume(id);
  Run();
  EXPECT_EQ(end.received, "");
}

TEST_F(SessionTest, DataOfStreamsThatAreGoneCostsNoWindow) {
  Side small{Role::kClient, {.connection_window = 100'000}};
  for (int i = 0; i < 50; ++i) {
    End end;
    auto id = small.session->Connect("10.0.0.7:80", {}, &end);
    ASSERT_TRUE(id.ok()) << id.status();
    Carry(&small, &server);
    // 10 KB are under way while the stream is forgotten, and 10 KB more when
    // it is reset.
    server.ends[*id]->to_send = std::string(10'000, 'x');
    server.session->Resume(*id);
    ASSERT_TRUE(server.session->Send().ok());
    small.session->Forget(*id);
    std::string late = std::exchange(server.out, "");
    if (i % 2 == 0) {
      small.session->Reset(*id, error_code::kCancel);
      ASSERT_TRUE(small.session->Send().ok());
    }
    ASSERT_TRUE(small.session->Receive(base::AsBytes(late), now).ok());
    small.session->Reset(*id, error_code::kCancel);
    Carry(&small, &server);
  }
  End end;
  auto id = small.session->Connect("10.0.0.7:80", {}, &end);
  ASSERT_TRUE(id.ok()) << id.status();
  Carry(&small, &server);
  server.ends[*id]->to_send = std::string(90'000, 'y');
  server.session->Resume(*id);
  Carry(&small, &server);
  EXPECT_EQ(end.received.size(), 90'000u);
}

TEST_F(SessionTest, RefusalIsAStatusAndTheEnd) {
  server.refuse_with = 401;
  End end;
  Open(&end);
  Run();
  EXPECT_EQ(end.status, 401);
  EXPECT_TRUE(end.ended);
}

TEST_F(SessionTest, ServerSaysHowManyStreamsItTakes) {
  Run();
  EXPECT_EQ(client.settings, 1);
  EXPECT_EQ(client.session->max_streams(), 200u);
}

TEST_F(SessionTest, StreamsBeyondTheLimitWaitForOthersToEnd) {
  std::deque<End> ends(250);
  Run();
  for (End& end : ends) Open(&end);
  Run();
  EXPECT_EQ(server.requests.size(), 200u);
  client.session->Reset(1, error_code::kCancel);
  Run();
  EXPECT_EQ(server.requests.size(), 201u);
}

TEST_F(SessionTest, GracefulGoawayLetsOpenStreamsEnd) {
  End end;
  const int32_t id = Open(&end);
  Run();
  server.session->GoawayGracefully();
  Run();
  ASSERT_GE(client.goaways.size(), 1u);
  EXPECT_EQ(client.goaways.back().first, id);
  EXPECT_FALSE(end.closed.has_value());
  End late;
  const auto refused = client.session->Connect("10.0.0.7:80", {}, &late);
  Run();
  if (refused.ok()) {
    EXPECT_EQ(late.closed, error_code::kRefusedStream);
  }
  end.to_send = "still";
  client.session->Resume(id);
  Run();
  EXPECT_EQ(server.ends[id]->received, "still");
  end.finish = true;
  client.session->Resume(id);
  server.ends[id]->finish = true;
  server.session->Resume(id);
  Run();
  EXPECT_TRUE(client.session->finished());
}

TEST_F(SessionTest, OversizedHeadersResetTheStreamOnly) {
  End end;
  const std::vector<Header> headers = {{"baggage", std::string(20'000, 'x')}};
  ASSERT_TRUE(client.session->Connect("10.0.0.7:80", headers, &end).ok());
  End good;
  Open(&good);
  Run();
  EXPECT_TRUE(end.closed.has_value());
  EXPECT_EQ(good.status, 200);
}

TEST_F(SessionTest, GarbageIsAnError) {
  EXPECT_FALSE(Hostile("GET / HTTP/1.1\r\nHost: x\r\n\r\n").ok());
}

TEST_F(SessionTest, RapidResetIsStopped) {
  server.answer = false;
  base::Status status;
  int rounds = 0;
  for (; rounds < 10'000 && status.ok(); ++rounds) {
    End end;
    const int32_t id = Open(&end);
    ASSERT_TRUE(client.session->Send().ok());
    client.session->Reset(id, error_code::kCancel);
    ASSERT_TRUE(client.session->Send().ok());
    status = Hostile(std::exchange(client.out, ""));
    client.session->Forget(id);
  }
  EXPECT_THAT(std::string(status.message()), HasSubstr("reset unanswered"));
  EXPECT_LT(rounds, 1100);
  server.out.clear();
  ASSERT_TRUE(server.session->Send().ok());
  ASSERT_TRUE(client.session->Receive(base::AsBytes(server.out), now).ok());
  ASSERT_FALSE(client.goaways.empty());
  EXPECT_EQ(client.goaways.back().second, error_code::kEnhanceYourCalm);
}

TEST_F(SessionTest, ResetsOfEstablishedTunnelsAreNotRationed) {
  for (int i = 0; i < 3000; ++i) {
    End end;
    const int32_t id = Open(&end);
    Run();
    ASSERT_TRUE(to_server.ok()) << i << to_server;
    ASSERT_EQ(end.status, 200);
    client.session->Reset(id, error_code::kConnectError);
    Run();
    ASSERT_TRUE(to_server.ok()) << i << to_server;
  }
}

TEST_F(SessionTest, FloodsOfControlFramesAreStopped) {
  const std::string ping = Frame(6, 0, 0, "12345678");
  const std::string settings = Frame(4, 0, 0, "");
  const std::string priority = Frame(2, 0, 1, std::string(5, '\1'));
  for (const std::string& frame : {ping, settings, priority}) {
    Side victim{Role::kServer};
    ASSERT_TRUE(client.session->Send().ok());
    base::Status status = victim.session->Receive(
        base::AsBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings), now);
    ASSERT_TRUE(status.ok()) << status;
    for (int i = 0; i < 5'000 && status.ok(); ++i) {
      status = victim.session->Receive(base::AsBytes(frame), now);
      ASSERT_TRUE(victim.session->Send().ok());
    }
    EXPECT_FALSE(status.ok()) << "type " << int{frame[3]};
  }
}

TEST_F(SessionTest, PingsAtAQuietPaceAreAnswered) {
  Run();
  for (int i = 0; i < 5'000; ++i) {
    client.session->Ping();
    Run();
    ASSERT_TRUE(to_server.ok()) << i;
    now += absl::Milliseconds(10);
  }
}

TEST_F(SessionTest, EndlessHeaderBlocksAreStopped) {
  ASSERT_TRUE(
      Hostile("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, "")).ok());
  base::Status status = Hostile(Frame(1, 0, 1, "\x82"));
  for (int i = 0; i < 10'000 && status.ok(); ++i) {
    status = Hostile(Frame(9, 0, 1, ""));
    server.out.clear();
    ASSERT_TRUE(server.session->Send().ok());
    // nghttp2 answers with a GOAWAY of its own, then reads no more.
    if (server.session->finished()) return;
  }
  EXPECT_FALSE(status.ok());
}

TEST_F(SessionTest, WhatIsNoConnectIsStillARequestToJudge) {
  // :method GET, :path /, :scheme http, :authority a (static table entries
  // 2, 4, 6 and a literal with name 1).
  const std::string block(
      "\x82\x84\x86\x01\x01"
      "a",
      6);
  server.refuse_with = 400;
  ASSERT_TRUE(Hostile("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, "") +
                      Frame(1, 5, 1, block))
                  .ok());
  ASSERT_EQ(server.requests.size(), 1u);
  EXPECT_EQ(server.requests[1].method, "GET");
}

TEST_F(SessionTest, ConnectWithoutAuthorityIsAStreamError) {
  // :method CONNECT alone.
  const std::string block = std::string("\x02\x07", 2) + "CONNECT";
  ASSERT_TRUE(Hostile("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, "") +
                      Frame(1, 4, 1, block))
                  .ok());
  EXPECT_TRUE(server.requests.empty());
  EXPECT_EQ(server.session->open_streams(), 1u);
  ASSERT_TRUE(server.session->Send().ok());
  EXPECT_EQ(server.session->open_streams(), 0u);
}

}  // namespace
}  // namespace nodeward::http
