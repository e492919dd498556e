// SPDX-License-Identifier: Apache-2.0
#include "http/stream_gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/stream_fixture.h"

namespace nodeward::http {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;
using wire::Data;
using wire::Head;

const FieldList kGet = {{":method", "GET"},
                        {":scheme", "http"},
                        {":path", "/a?b"},
                        {":authority", "host:80"}};
const FieldList kOk = {{":status", "200"}};

FieldList With(FieldList fields, const FieldList& more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}
FieldList Post(const FieldList& more = {}) {
  FieldList fields = With(kGet, more);
  fields[0].second = "POST";
  return fields;
}

class StreamGatewayTest : public testing::Test {
 protected:
  void SetUp() override { driver.Greet(); }
  wire::Seen HeadToClient(int32_t id) {
    const auto heads = StreamDriver::Of(driver.to_client, wire::kHeaders, id);
    return heads.empty() ? wire::Seen() : heads.back();
  }
  wire::Seen HeadToApplication(int32_t id) {
    const auto heads =
        StreamDriver::Of(driver.to_application, wire::kHeaders, id);
    return heads.empty() ? wire::Seen() : heads.back();
  }
  std::vector<uint32_t> Resets(const std::vector<wire::Seen>& all, int32_t id) {
    std::vector<uint32_t> codes;
    for (const auto& seen : StreamDriver::Of(all, wire::kReset, id)) {
      codes.push_back(seen.code());
    }
    return codes;
  }
  std::string BodyToClient(int32_t id) {
    return StreamDriver::BodyOf(driver.to_client, id);
  }
  std::string BodyToApplication(int32_t id) {
    return StreamDriver::BodyOf(driver.to_application, id);
  }
  // How much the client may send more than it could.
  uint64_t Given(int32_t id) {
    uint64_t sum = 0;
    for (const auto& seen :
         StreamDriver::Of(driver.to_client, wire::kWindow, id)) {
      wire::Seen reset = seen;
      reset.type = wire::kReset;
      sum += reset.code();
    }
    return sum;
  }

  StreamDriver driver;
};

TEST_F(StreamGatewayTest, BeginsWithBoundsOnBothSides) {
  StreamDriver fresh;
  fresh.Client(base::StrCat(StreamGateway::kPreface, wire::Settings({})));
  ASSERT_THAT(StreamDriver::Of(fresh.to_client, wire::kSettings), SizeIs(2));
  const std::string ours = fresh.to_client[0].payload;
  EXPECT_NE(ours.find(wire::Number(3, 2) + wire::Number(Link::kMaxStreams)),
            std::string::npos);
  EXPECT_NE(ours.find(wire::Number(6, 2) + wire::Number(64 << 10)),
            std::string::npos);
  const auto settings = StreamDriver::Of(fresh.to_application, wire::kSettings);
  ASSERT_THAT(settings, SizeIs(1));
  // No push.
  EXPECT_NE(settings[0].payload.find(wire::Number(2, 2) + wire::Number(0)),
            std::string::npos);
}

TEST_F(StreamGatewayTest, ARequestAndItsAnswerPass) {
  driver.Client(Head(1, With(kGet, {{"accept", "x"}})));
  EXPECT_THAT(HeadToApplication(1).fields,
              ElementsAre(Pair(":method", "GET"), Pair(":scheme", "http"),
                          Pair(":authority", "host:80"), Pair(":path", "/a?b"),
                          Pair("accept", "x")));
  EXPECT_TRUE(HeadToApplication(1).ends());
  driver.Application(Head(1, With(kOk, {{"server", "s"}}), false));
  EXPECT_THAT(HeadToClient(1).fields,
              ElementsAre(Pair(":status", "200"), Pair("server", "s")));
  driver.Application(Data(1, "hello") + Data(1, " you", true));
  EXPECT_EQ(BodyToClient(1), "hello you");
  EXPECT_TRUE(driver.to_client.back().ends());
  EXPECT_TRUE(driver.gateway->idle());
  EXPECT_EQ(driver.gateway->held(), 0);
}

TEST_F(StreamGatewayTest, BothWaysAtOnceWithTrailers) {
  driver.Client(Head(1, Post({{"te", "trailers"}}), false) + Data(1, "one"));
  EXPECT_EQ(HeadToApplication(1).Value("te"), "trailers");
  EXPECT_EQ(BodyToApplication(1), "one");
  driver.Application(Head(1, kOk, false) + Data(1, "eins"));
  EXPECT_EQ(BodyToClient(1), "eins");
  driver.Client(Data(1, "two"));
  driver.Application(Data(1, "zwei"));
  EXPECT_EQ(BodyToApplication(1), "onetwo");
  EXPECT_EQ(BodyToClient(1), "einszwei");
  driver.Client(Head(1, {{"x-sum", "7"},
                         {"x_forwarded_client_cert", "forged"},
                         {"content_length", "1"}}));
  EXPECT_THAT(HeadToApplication(1).fields, ElementsAre(Pair("x-sum", "7")));
  EXPECT_TRUE(HeadToApplication(1).ends());
  EXPECT_FALSE(driver.gateway->idle());
  driver.Application(Head(1, {{"grpc-status", "0"}, {"grpc-message", "fine"}}));
  EXPECT_THAT(
      HeadToClient(1).fields,
      ElementsAre(Pair("grpc-status", "0"), Pair("grpc-message", "fine")));
  EXPECT_TRUE(HeadToClient(1).ends());
  EXPECT_TRUE(driver.gateway->idle());
}

TEST_F(StreamGatewayTest, InterimResponsesPass) {
  driver.Client(Head(1, Post({{"expect", "100-continue"}}), false));
  driver.Application(Head(1, {{":status", "100"}}, false));
  EXPECT_EQ(HeadToClient(1).Value(":status"), "100");
  driver.Application(Head(1, {{":status", "103"}, {"link", "</s>"}}, false));
  EXPECT_EQ(HeadToClient(1).Value("link"), "</s>");
  driver.Client(Data(1, "x", true));
  driver.Application(Head(1, kOk, true));
  EXPECT_EQ(HeadToClient(1).Value(":status"), "200");
  EXPECT_TRUE(driver.gateway->idle());
}

TEST_F(StreamGatewayTest, NobodyForgesTheClientsCertificate) {
  const FieldList forged = {{"x-forwarded-client-cert", "URI=a"},
                            {"x_forwarded_client_cert", "URI=b"},
                            {"http2-settings", "AA"},
                            {"other", "1"}};
  driver.Client(Head(1, With(kGet, forged)));
  EXPECT_EQ(HeadToApplication(1).Value("x-forwarded-client-cert"), "(none)");
  EXPECT_THAT(HeadToApplication(1).fields, SizeIs(5));
  driver.certificate = "URI=true";
  driver.Client(Head(3, With(kGet, forged)));
  EXPECT_THAT(HeadToApplication(3).fields, SizeIs(6));
  EXPECT_EQ(HeadToApplication(3).Value("x-forwarded-client-cert"), "URI=true");
}

TEST_F(StreamGatewayTest, DeniedIs403AndOtherStreamsLiveOn) {
  driver.judge = [](RequestHead* request) {
    return request->method() == "POST" ? StreamGatewayUser::Ruling::kDeny
                                       : StreamGatewayUser::Ruling::kForward;
  };
  driver.Client(Head(1, kGet));
  driver.Client(Head(3, Post({{"content-length", "4"}}), false) +
                Data(3, "abcd", true));
  EXPECT_THAT(HeadToClient(3).fields,
              ElementsAre(Pair(":status", "403"), Pair("content-length", "19"),
                          Pair("content-type", "text/plain")));
  EXPECT_EQ(BodyToClient(3), "RBAC: access denied");
  EXPECT_THAT(StreamDriver::Of(driver.to_application, wire::kHeaders),
              SizeIs(1));
  driver.Application(Head(1, kOk, false) + Data(1, "still here", true));
  EXPECT_EQ(BodyToClient(1), "still here");
  EXPECT_TRUE(driver.gateway->idle());
  driver.Client(Head(5, kGet));
  EXPECT_EQ(HeadToApplication(3).Value(":method"), "GET");
}

TEST_F(StreamGatewayTest, DeniedGrpcHearsItInItsOwnTerms) {
  driver.judge = [](RequestHead*) { return StreamGatewayUser::Ruling::kDeny; };
  driver.Client(
      Head(1, Post({{"content-type", "application/grpc+proto"}}), false));
  EXPECT_THAT(HeadToClient(1).fields,
              ElementsAre(Pair(":status", "200"),
                          Pair("content-type", "application/grpc"),
                          Pair("grpc-status", "7"),
                          Pair("grpc-message", "RBAC: access denied")));
  EXPECT_TRUE(HeadToClient(1).ends());
  driver.Client(Head(3, Post({{"content-type", "application/grpc-web"}})));
  EXPECT_EQ(HeadToClient(3).Value(":status"), "403");
}

TEST_F(StreamGatewayTest, TheBodyOfADeniedRequestIsReadUpToABound) {
  driver.judge = [](RequestHead*) { return StreamGatewayUser::Ruling::kDeny; };
  driver.Client(Head(1, Post(), false));
  const std::string part(16384, 'x');
  for (int i = 0; i < 64; ++i) driver.Client(Data(1, part));
  EXPECT_THAT(Resets(driver.to_client, 1), IsEmpty());
  EXPECT_GE(Given(1) + Link::kStreamWindow, 64u * part.size());
  driver.Client(Data(1, part));
  EXPECT_THAT(Resets(driver.to_client, 1), ElementsAre(error_code::kNoError));
  EXPECT_THAT(driver.gateway->held(), 0);
  EXPECT_TRUE(driver.gateway->idle());
}

TEST_F(StreamGatewayTest, ThePathThatWasJudgedGoesOn) {
  driver.judge = [](RequestHead* request) {
    request->set_path("/normal");
    return StreamGatewayUser::Ruling::kForward;
  };
  driver.Client(Head(1, kGet));
  EXPECT_EQ(HeadToApplication(1).Value(":path"), "/normal");
}

TEST_F(StreamGatewayTest, ConnectIsJudgedAndNeverForwarded) {
  const FieldList connect = {{":method", "CONNECT"}, {":authority", "a:80"}};
  driver.judge = [](RequestHead* request) {
    EXPECT_EQ(request->method(), "CONNECT");
    EXPECT_EQ(request->host(), "a:80");
    return StreamGatewayUser::Ruling::kDeny;
  };
  driver.Client(Head(1, connect, false));
  EXPECT_EQ(HeadToClient(1).Value(":status"), "403");
  driver.judge = [](RequestHead*) {
    return StreamGatewayUser::Ruling::kRefuse;
  };
  driver.Client(Head(3, connect, false));
  EXPECT_EQ(HeadToClient(3).Value(":status"), "400");
  // Extended CONNECT was not offered.
  driver.Client(Head(5,
                     {{":method", "CONNECT"},
                      {":protocol", "websocket"},
                      {":scheme", "http"},
                      {":path", "/"},
                      {":authority", "a"}},
                     false));
  EXPECT_THAT(Resets(driver.to_client, 5),
              ElementsAre(error_code::kProtocolError));
  EXPECT_THAT(StreamDriver::Of(driver.to_application, wire::kHeaders),
              IsEmpty());
}

TEST_F(StreamGatewayTest, ResetsPassBothWays) {
  driver.Client(Head(1, Post(), false) + Head(3, kGet) + Head(5, kGet));
  driver.Client(wire::Reset(1, error_code::kCancel));
  EXPECT_THAT(Resets(driver.to_application, 1),
              ElementsAre(error_code::kCancel));
  driver.Application(wire::Reset(3, error_code::kRefusedStream));
  EXPECT_THAT(Resets(driver.to_client, 3),
              ElementsAre(error_code::kRefusedStream));
  driver.Application(Head(5, kOk, false) + Data(5, "half") +
                     wire::Reset(5, error_code::kInternalError));
  EXPECT_THAT(Resets(driver.to_client, 5),
              ElementsAre(error_code::kInternalError));
  EXPECT_TRUE(driver.gateway->idle());
}

TEST_F(StreamGatewayTest, AnAnswerBeforeTheEndOfTheRequest) {
  driver.Client(Head(1, Post(), false) + Data(1, "some"));
  driver.Application(Head(1, {{":status", "413"}}, false) +
                     Data(1, "too much", true) +
                     wire::Reset(1, error_code::kNoError));
  EXPECT_EQ(HeadToClient(1).Value(":status"), "413");
  EXPECT_EQ(BodyToClient(1), "too much");
  EXPECT_THAT(Resets(driver.to_client, 1), IsEmpty());
  driver.Client(Data(1, "more", true));
  EXPECT_TRUE(driver.gateway->idle());
  EXPECT_EQ(driver.gateway->held(), 0);
}

TEST_F(StreamGatewayTest, TheApplicationsWindowHoldsTheClientBack) {
  // What the application has not granted stays with the client, but for one
  // window.
  driver.Client(Head(1, Post(), false));
  const std::string part(16384, 'x');
  for (int i = 0; i < 16; ++i) driver.Client(Data(1, part));
  EXPECT_EQ(BodyToApplication(1).size(), 65535);  // RFC 9113's initial window
  EXPECT_EQ(driver.gateway->held(), Link::kStreamWindow - 65535);
  const uint64_t before = Given(1);
  EXPECT_LE(before, 65535);
  driver.Client(wire::Window(0, 1));  // nothing to do with it
  EXPECT_EQ(Given(1), before);
  driver.Application(wire::Window(0, 1 << 20) + wire::Window(1, 1 << 20));
  EXPECT_EQ(BodyToApplication(1).size(), Link::kStreamWindow);
  EXPECT_EQ(driver.gateway->held(), 0);
  EXPECT_GT(Given(1), before);
}

TEST_F(StreamGatewayTest, WhoSendsMoreThanItsWindowIsReset) {
  driver.application_stalls = true;
  driver.Client(Head(1, Post(), false));
  const std::string part(16384, 'x');
  for (int i = 0; i < 17; ++i) driver.Client(Data(1, part));
  EXPECT_THAT(Resets(driver.to_client, 1), ElementsAre(3));  // FLOW_CONTROL
  EXPECT_LE(driver.gateway->held(), Link::kStreamWindow);
}

TEST_F(StreamGatewayTest, AClientThatDoesNotReadHoldsTheApplicationBack) {
  driver.Client(Head(1, kGet) + Head(3, kGet));
  driver.to_application.clear();
  driver.Application(Head(1, kOk, false));
  const std::string part(16384, 'x');
  for (int i = 0; i < 8; ++i) driver.Application(Data(1, part));
  EXPECT_EQ(BodyToClient(1).size(), 65535);
  EXPECT_EQ(driver.gateway->held(), 8 * part.size() - 65535);
  // Its control frames pass all the same, and so do other streams' heads.
  driver.Application(Head(3, {{":status", "204"}}));
  EXPECT_EQ(HeadToClient(3).Value(":status"), "204");
  driver.Client(wire::Window(0, 1 << 20) + wire::Window(1, 1 << 20));
  EXPECT_EQ(BodyToClient(1).size(), 8 * part.size());
  EXPECT_THAT(StreamDriver::Of(driver.to_application, wire::kWindow, 1),
              Not(IsEmpty()));
}

TEST_F(StreamGatewayTest, AStreamThatEndsGivesItsWindowBack) {
  const std::string part(16384, 'x');
  // Four times what the connection may hold, never read by the application.
  for (uint32_t id = 1; id < 32; id += 2) {
    driver.Client(Head(id, Post(), false));
    for (int i = 0; i < 16; ++i) driver.Client(Data(id, part));
    driver.Client(wire::Reset(id, error_code::kCancel));
  }
  EXPECT_EQ(driver.gateway->held(), 0);
  EXPECT_THAT(StreamDriver::Of(driver.to_client, wire::kGoaway), IsEmpty());
  EXPECT_TRUE(driver.gateway->idle());
}

TEST_F(StreamGatewayTest, GoawayOfTheApplicationReachesTheClient) {
  driver.Client(Head(1, kGet) + Head(3, kGet));
  driver.Application(wire::Goaway(1, 0));
  const auto goaways = StreamDriver::Of(driver.to_client, wire::kGoaway);
  ASSERT_THAT(goaways, SizeIs(1));
  EXPECT_EQ(goaways[0].payload.substr(0, 4), wire::Number(3));
  EXPECT_EQ(goaways[0].code(), 0);
  EXPECT_THAT(Resets(driver.to_client, 3),
              ElementsAre(error_code::kRefusedStream));
  driver.Application(Head(1, kOk));
  EXPECT_EQ(HeadToClient(1).Value(":status"), "200");
  driver.Flush();
  EXPECT_TRUE(driver.gateway->client_over());
}

TEST_F(StreamGatewayTest, TheApplicationsEndIsToldToEveryStream) {
  driver.Client(Head(1, kGet) + Head(3, kGet) + Head(5, kGet) +
                Head(7, Post({{"content-type", "application/grpc"}})));
  driver.Application(Head(1, kOk, false) + Data(1, "half") +
                     Head(5, kOk, false) + Data(5, "all", true));
  driver.gateway->ApplicationEnded();
  driver.Flush();
  EXPECT_THAT(Resets(driver.to_client, 1),
              ElementsAre(error_code::kInternalError));
  EXPECT_EQ(HeadToClient(3).Value(":status"), "503");
  EXPECT_EQ(BodyToClient(5), "all");
  EXPECT_EQ(HeadToClient(7).Value("grpc-status"), "14");
  EXPECT_THAT(StreamDriver::Of(driver.to_client, wire::kGoaway), SizeIs(1));
  EXPECT_TRUE(driver.gateway->client_over());
}

TEST_F(StreamGatewayTest, WhatTheApplicationNeverSawMayBeAskedAgain) {
  driver.application_stalls = true;
  driver.Client(Head(1, kGet));
  driver.gateway->ApplicationEnded();
  driver.Flush();
  EXPECT_THAT(Resets(driver.to_client, 1),
              ElementsAre(error_code::kRefusedStream));
}

TEST_F(StreamGatewayTest, AfterTheClientsEndWholeRequestsAreAnswered) {
  driver.Client(Head(1, kGet) + Head(3, Post(), false) + Data(3, "half"));
  driver.gateway->ClientEnded();
  driver.Flush();
  EXPECT_THAT(Resets(driver.to_application, 3),
              ElementsAre(error_code::kCancel));
  EXPECT_FALSE(driver.gateway->idle());
  driver.Application(Head(1, kOk));
  EXPECT_EQ(HeadToClient(1).Value(":status"), "200");
  EXPECT_TRUE(driver.gateway->idle());
}

TEST_F(StreamGatewayTest, PingsAreAnsweredHere) {
  driver.Client(wire::Frame(wire::kPing, 0, 0, "12345678"));
  const auto answers = StreamDriver::Of(driver.to_client, wire::kPing);
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].flags, wire::kAck);
  EXPECT_EQ(answers[0].payload, "12345678");
  EXPECT_THAT(StreamDriver::Of(driver.to_application, wire::kPing), IsEmpty());
}

TEST_F(StreamGatewayTest, ABrokenApplicationBreaksNobodyElsesRules) {
  driver.Client(Head(1, kGet) + Head(3, kGet));
  // A response without a status; then bytes that are no frames.
  driver.Application(Head(1, {{"server", "x"}}, false));
  EXPECT_THAT(Resets(driver.to_client, 1),
              ElementsAre(error_code::kInternalError));
  driver.Application(wire::Frame(wire::kPing, 0, 0, "short"));
  EXPECT_EQ(HeadToClient(3).Value(":status"), "503");
  EXPECT_TRUE(driver.gateway->application_over());
  EXPECT_TRUE(driver.gateway->client_over());
}

}  // namespace
}  // namespace nodeward::http
