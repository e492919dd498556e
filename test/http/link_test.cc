// SPDX-License-Identifier: Apache-2.0
//
// What a hostile client may send: none of it reaches the application, and it
// costs no more than its bounds.
#include "http/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/stream_fixture.h"

namespace nodeward::http {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using wire::Data;
using wire::Head;
using wire::Seen;

constexpr uint32_t kProtocol = error_code::kProtocolError;
constexpr uint32_t kCalm = error_code::kEnhanceYourCalm;

const FieldList kGet = {{":method", "GET"},
                        {":scheme", "http"},
                        {":path", "/"},
                        {":authority", "host"}};

FieldList With(const FieldList& more, FieldList fields = kGet) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}
// kGet with another value for one of its fields.
FieldList Changed(const std::string& name, const std::string& value) {
  FieldList fields = kGet;
  for (auto& [key, old] : fields) {
    if (key == name) old = value;
  }
  return fields;
}
FieldList Without(const std::string& name) {
  FieldList fields;
  for (const auto& field : kGet) {
    if (field.first != name) fields.push_back(field);
  }
  return fields;
}

class LinkTest : public testing::Test {
 protected:
  void SetUp() override { driver.Greet(); }

  // RST_STREAM, 400, or GOAWAY: how stream `id` was answered.
  std::string Answer(int32_t id) {
    for (const Seen& seen : driver.to_client) {
      if (seen.type == wire::kGoaway) {
        return base::StrCat("GOAWAY ", seen.code());
      }
      if (seen.id != id) continue;
      if (seen.type == wire::kReset) return base::StrCat("RST ", seen.code());
      if (seen.type == wire::kHeaders) return seen.Value(":status");
    }
    return "nothing";
  }
  size_t Forwarded() {
    return StreamDriver::Of(driver.to_application, wire::kHeaders).size();
  }
  std::vector<Seen> Goaways() {
    return StreamDriver::Of(driver.to_client, wire::kGoaway);
  }

  StreamDriver driver;
};

TEST_F(LinkTest, RequestsThatTwoReadersMightReadDifferently) {
  const std::vector<FieldList> hostile = {
      // Pseudo-fields: twice, none, unknown, behind others, a response's.
      With({{":path", "/b"}}),
      With({{":method", "POST"}}),
      With({{":authority", "other"}}),
      Without(":method"),
      Without(":scheme"),
      Without(":path"),
      Without(":authority"),
      With({{":unknown", "x"}}),
      With({{":status", "200"}}),
      With({{"a", "b"}, {":authority", "x"}}, Without(":authority")),
      Changed(":path", ""),
      Changed(":path", "no-slash"),
      Changed(":path", "*"),
      Changed(":path", "/a b"),
      Changed(":path", "/a#b"),
      Changed(":path", "/a\r\nx: y"),
      Changed(":path", std::string("/a\0b", 4)),
      Changed(":method", "GE T"),
      Changed(":method", "GET / HTTP/1.1\r\nx: y"),
      Changed(":scheme", "ht tp"),
      Changed(":scheme", "ftp"),
      Changed(":authority", ""),
      Changed(":authority", "a@b"),
      Changed(":authority", "a/b"),
      Changed(":authority", "a b"),
      Changed(":authority", "a, b"),
      // What HTTP/1 would make of it behind us.
      With({{"host", "other"}}),
      With({{"host", "host"}, {"host", "host"}}),
      With({{"transfer-encoding", "chunked"}}),
      With({{"transfer_encoding", "chunked"}}),
      With({{"content_length", "4"}}),
      With({{"connection", "close"}}),
      With({{"keep-alive", "1"}}),
      With({{"proxy-connection", "close"}}),
      With({{"upgrade", "websocket"}}),
      With({{"te", "chunked"}}),
      With({{"content-length", "-1"}}),
      With({{"content-length", "1,1"}}),
      With({{"content-length", "1"}, {"content-length", "2"}}),
      With({{"content-length", "99999999999999999999"}}),
      With({{"content-length", "4"}}),  // and END_STREAM
      With({{"Upper", "case"}}),
      With({{"a b", "c"}}),
      With({{"a:b", "c"}}),
      With({{"", "c"}}),
      With({{"a\r\nb", "c"}}),
      With({{"a", "b\r\nc: d"}}),
      With({{"a", "b\nc"}}),
      With({{"a", std::string("b\0c", 3)}}),
      With({{"a", " b"}}),
      With({{"a", "b\t"}}),
      {},
  };
  uint32_t id = 1;
  for (const FieldList& fields : hostile) {
    driver.to_client.clear();
    driver.Client(Head(id, fields));
    const std::string answer = Answer(static_cast<int32_t>(id));
    EXPECT_TRUE(answer == "400" || answer == "RST 1" || answer == "RST 2")
        << testing::PrintToString(fields) << ": " << answer;
    EXPECT_EQ(Forwarded(), 0) << testing::PrintToString(fields);
    id += 2;
  }
  EXPECT_THAT(driver.bad, SizeIs(testing::Ge(hostile.size())));
  // The connection is as good as before.
  driver.Client(Head(id, With({{"host", "host"}})));
  EXPECT_EQ(Forwarded(), 1);
}

TEST_F(LinkTest, BodiesThatAreNotWhatTheirHeadsSay) {
  const FieldList four = With({{"content-length", "4"}});
  driver.Client(Head(1, four, false) + Head(3, four, false));
  driver.Client(Data(1, "abc", true));
  EXPECT_EQ(Answer(1), base::StrCat("RST ", kProtocol));
  driver.Client(Data(3, "abcd") + Data(3, "e", true));
  EXPECT_EQ(Answer(3), base::StrCat("RST ", kProtocol));
  // The application never sees the end of either.
  for (const Seen& seen : driver.to_application) EXPECT_FALSE(seen.ends());
  EXPECT_THAT(StreamDriver::Of(driver.to_application, wire::kReset), SizeIs(2));
}

TEST_F(LinkTest, TrailersThatAreNone) {
  driver.Client(Head(1, kGet, false) + Head(1, {{":path", "/b"}}));
  EXPECT_EQ(Answer(1), base::StrCat("RST ", kProtocol));
  driver.Client(Head(3, kGet, false) + Head(3, {{"a", "b"}}, false));
  EXPECT_EQ(Answer(3), base::StrCat("RST ", kProtocol));
  for (const Seen& seen : driver.to_application) EXPECT_FALSE(seen.ends());
}

TEST_F(LinkTest, LargeHeadsAre400AndTheConnectionGoesOn) {
  FieldList large = kGet;
  for (int i = 0; i < 8; ++i) {
    large.emplace_back(base::StrCat("x", i), std::string(8 << 10, 'y'));
  }
  driver.Client(Head(1, large));
  EXPECT_EQ(Answer(1), "400");
  FieldList many = kGet;
  for (int i = 0; i < 101; ++i) many.emplace_back(base::StrCat("x", i), "y");
  driver.Client(Head(3, many));
  EXPECT_EQ(Answer(3), "400");
  EXPECT_EQ(Forwarded(), 0);
  large.pop_back();
  driver.Client(Head(5, large));
  EXPECT_EQ(Forwarded(), 1);
}

TEST_F(LinkTest, AHeadWithoutEndEndsTheConnection) {
  const std::string block = wire::Block({{"x", std::string(1000, 'y')}});
  driver.Client(wire::Frame(wire::kHeaders, 0, 1, wire::Block(kGet)));
  EXPECT_TRUE(driver.gateway->in_head());
  for (int i = 0; i < 1000 && Goaways().empty(); ++i) {
    driver.Client(wire::Frame(wire::kContinuation, 0, 1, block));
  }
  ASSERT_THAT(Goaways(), SizeIs(1));
  EXPECT_TRUE(driver.gateway->client_over());
  EXPECT_EQ(Forwarded(), 0);
}

TEST_F(LinkTest, EmptyContinuationsEndTheConnection) {
  driver.Client(wire::Frame(wire::kHeaders, 0, 1, wire::Block(kGet)));
  for (int i = 0; i < 5000 && Goaways().empty(); ++i) {
    driver.Client(wire::Frame(wire::kContinuation, 0, 1, ""));
  }
  ASSERT_THAT(Goaways(), SizeIs(1));
  EXPECT_EQ(Forwarded(), 0);
}

TEST_F(LinkTest, RapidResetEndsTheConnection) {
  uint32_t id = 1;
  for (; id < 20000 && Goaways().empty(); id += 2) {
    driver.Client(Head(id, kGet) + wire::Reset(id, error_code::kCancel));
  }
  ASSERT_THAT(Goaways(), SizeIs(1));
  EXPECT_EQ(Goaways()[0].code(), kCalm);
  EXPECT_LE(Forwarded(), 1100);
  EXPECT_THAT(driver.bad, Not(IsEmpty()));
}

TEST_F(LinkTest, ResetsThatTheClientMakesUsSendCountAsWell) {
  // Too large a window is an error of the stream that it names.
  for (uint32_t id = 1; id < 20000 && Goaways().empty(); id += 2) {
    driver.Client(Head(id, kGet, false) + wire::Window(id, 0x7fffffff));
  }
  ASSERT_THAT(Goaways(), SizeIs(1));
  EXPECT_EQ(Goaways()[0].code(), kCalm);
}

TEST_F(LinkTest, BadRequestsInARowEndTheConnection) {
  for (uint32_t id = 1; id < 20000 && Goaways().empty(); id += 2) {
    driver.Client(Head(id, Changed(":path", "/a#b")));
  }
  ASSERT_THAT(Goaways(), SizeIs(1));
  EXPECT_EQ(Goaways()[0].code(), kCalm);
}

TEST_F(LinkTest, CancellingAnswersUnderWayIsNoFlood) {
  for (uint32_t id = 1; id < 6000; id += 2) {
    driver.Client(Head(id, kGet));
    driver.Application(Head(id, {{":status", "200"}}, false));
    driver.Client(wire::Reset(id, error_code::kCancel));
  }
  EXPECT_THAT(Goaways(), IsEmpty());
  EXPECT_TRUE(driver.gateway->idle());
}

TEST_F(LinkTest, ControlFramesAreBounded) {
  const std::vector<std::string> floods = {
      wire::Frame(wire::kPing, 0, 0, "12345678"),
      wire::Settings({}),
      wire::Frame(wire::kPriority, 0, 1, std::string("\0\0\0\0\1", 5)),
      Head(1, kGet, false) + Data(1, ""),
  };
  for (const std::string& flood : floods) {
    StreamDriver fresh;
    fresh.Greet();
    // In the same moment: no allowance grows back.
    for (int i = 0; i < 4000; ++i) {
      fresh.Client(i == 0 || flood[3] != wire::kHeaders ? flood : Data(1, ""));
    }
    const auto goaways = StreamDriver::Of(fresh.to_client, wire::kGoaway);
    ASSERT_THAT(goaways, SizeIs(1)) << static_cast<int>(flood[3]);
    EXPECT_EQ(goaways[0].code(), kCalm);
    EXPECT_TRUE(fresh.gateway->client_over());
  }
}

TEST_F(LinkTest, AnswersNobodyFetchesAreBounded) {
  driver.client_stalls = true;
  for (int i = 0; i < 1000; ++i) {
    driver.Client(wire::Frame(wire::kPing, 0, 0, "12345678"));
  }
  driver.client_stalls = false;
  driver.Flush();
  ASSERT_THAT(Goaways(), SizeIs(1));
  EXPECT_EQ(Goaways()[0].code(), kCalm);
}

TEST_F(LinkTest, NoMoreStreamsAtOnceThanWereAnnounced) {
  uint32_t id = 1;
  for (; id <= 2 * Link::kMaxStreams; id += 2) driver.Client(Head(id, kGet));
  EXPECT_EQ(Forwarded(), Link::kMaxStreams);
  driver.Client(Head(id, kGet));
  EXPECT_EQ(Answer(static_cast<int32_t>(id)), "GOAWAY 1");
  EXPECT_EQ(Forwarded(), Link::kMaxStreams);
}

TEST_F(LinkTest, RequestsThatWaitForTheApplicationAreBounded) {
  driver.application_stalls = true;
  FieldList large = kGet;
  for (int i = 0; i < 6; ++i) {
    large.emplace_back(base::StrCat("x", i), std::string(8 << 10, 'y'));
  }
  uint32_t id = 1;
  for (; id < 2 * 100; id += 2) driver.Client(Head(id, large));
  EXPECT_EQ(Answer(static_cast<int32_t>(id) - 2),
            base::StrCat("RST ", error_code::kRefusedStream));
  driver.application_stalls = false;
  driver.Flush();
  EXPECT_LE(Forwarded(), Link::kMaxHeadsQueued / (48 << 10) + 1);
  EXPECT_GT(Forwarded(), 10);
  driver.Client(Head(id, large));
  EXPECT_EQ(StreamDriver::Of(driver.to_application, wire::kHeaders,
                             static_cast<int32_t>(2 * Forwarded() - 1))
                .size(),
            1);
}

TEST_F(LinkTest, WhatIsNoHttp2EndsTheConnection) {
  for (const std::string& frame :
       {wire::Frame(wire::kPing, 0, 0, "short"),
        wire::Frame(wire::kSettings, 0, 0, "x"),
        wire::Frame(wire::kData, 0, 0, "x"),
        wire::Frame(wire::kHeaders, wire::kEndHeaders, 2, wire::Block(kGet)),
        wire::Frame(wire::kHeaders, wire::kEndHeaders, 1, "\xff\xff\xff"),
        wire::Frame(wire::kContinuation, 0, 1, "x"),
        wire::Window(0, 0x7fffffff),
        wire::Frame(5, wire::kEndHeaders, 1, wire::Number(2)),  // push
        std::string(16, '\xff')}) {
    StreamDriver fresh;
    fresh.Greet();
    fresh.Client(frame);
    EXPECT_THAT(StreamDriver::Of(fresh.to_client, wire::kGoaway), SizeIs(1))
        << testing::PrintToString(frame);
    EXPECT_TRUE(fresh.gateway->client_over());
    EXPECT_THAT(fresh.bad, Not(IsEmpty()));
    fresh.Client(Head(1, kGet));
    EXPECT_EQ(fresh.requests, 0);
  }
}

TEST_F(LinkTest, AnApplicationsPushIsRefused) {
  driver.Client(Head(1, kGet));
  driver.Application(wire::Frame(5, wire::kEndHeaders, 1,
                                 wire::Number(2) + wire::Block(kGet)));
  EXPECT_TRUE(driver.gateway->application_over());
  EXPECT_EQ(Answer(1), "503");
}

TEST_F(LinkTest, ManyInterimResponsesDoNotPileUp) {
  driver.Client(Head(1, kGet));
  driver.client_stalls = true;
  const FieldList hint = {{":status", "103"},
                          {"link", std::string(8 << 10, 'x')}};
  for (int i = 0; i < 1000; ++i) driver.Application(Head(1, hint, false));
  driver.client_stalls = false;
  driver.to_client.clear();
  driver.Flush();
  EXPECT_LE(StreamDriver::Of(driver.to_client, wire::kHeaders).size(),
            Link::kMaxHeadsQueued / (8 << 10));
  EXPECT_EQ(StreamDriver::Of(driver.to_client, wire::kReset).size(), 1);
}

}  // namespace
}  // namespace nodeward::http
