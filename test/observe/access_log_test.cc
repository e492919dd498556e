// SPDX-License-Identifier: Apache-2.0
#include "observe/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "observe/flow_fixture.h"

namespace nodeward::observe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixMillis(1700000000123);

Flow ServiceFlow() {
  Flow flow = MakeFlow(1, Reporter::kSource, MakeWorkload("full", "sleep"),
                       MakeWorkload("mtls-test", "httpbin"));
  auto service = std::make_shared<model::Service>();
  service->name = "httpbin";
  service->name_space = "mtls-test";
  flow.service = service;
  flow.policy = "mtls-test/httpbin";
  return flow;
}

TEST(AccessLogTest, ATextLineHasEveryField) {
  EXPECT_EQ(
      AccessLine(ServiceFlow(), kNow, base::LogFormat::kText),
      "2023-11-14T22:13:20.123Z info access direction=outbound "
      "src.addr=10.0.0.7:41234 src.workload=sleep src.namespace=full "
      "src.identity=spiffe://cluster.local/ns/full/sa/sleep "
      "dst.addr=10.96.0.9:8000 dst.upstream=10.0.1.9:80 dst.workload=httpbin "
      "dst.namespace=mtls-test "
      "dst.service=httpbin.mtls-test.svc.cluster.local "
      "dst.identity=spiffe://cluster.local/ns/mtls-test/sa/httpbin "
      "security=mutual_tls verdict=allowed outcome=closed "
      "policy=mtls-test/httpbin bytes_sent=78 bytes_recv=512 duration=3.25ms "
      "reason=-");
}

TEST(AccessLogTest, WhatIsNotKnownIsADash) {
  Flow flow = MakePlaintext(1, nullptr, nullptr);
  flow.outcome = Outcome::kDeniedPlaintext;
  flow.upstream = {};
  flow.detail = "plaintext to a STRICT port";
  const std::string line = AccessLine(flow, kNow, base::LogFormat::kText);
  EXPECT_THAT(line, HasSubstr("direction=inbound "));
  EXPECT_THAT(line, HasSubstr("src.workload=- src.namespace=- "
                              "src.identity=- dst.addr=10.96.0.9:8000 "
                              "dst.upstream=- dst.workload=- "));
  EXPECT_THAT(line, HasSubstr("security=plaintext verdict=refused "
                              "outcome=denied_plaintext policy=- "));
  EXPECT_THAT(line, HasSubstr(R"(reason="plaintext to a STRICT port")"));
}

TEST(AccessLogTest, JsonHasNumbersAndLeavesOutWhatIsNotKnown) {
  const auto json =
      base::ParseJson(AccessLine(ServiceFlow(), kNow, base::LogFormat::kJson));
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(base::GetString(*json, "message"), "access");
  EXPECT_EQ(base::GetString(*json, "time"), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(base::GetString(*json, "src.identity"),
            "spiffe://cluster.local/ns/full/sa/sleep");
  EXPECT_EQ(base::GetInt(*json, "bytes_recv"), 512);
  EXPECT_DOUBLE_EQ(base::GetMember(*json, "duration").get<double>(), 0.00325);
  EXPECT_FALSE(json->contains("reason"));
}

TEST(AccessLogTest, AValueCannotForgeAFieldOrALine) {
  Flow flow = ServiceFlow();
  flow.detail = "x verdict=allowed\n2026 info access \"quoted\" \xff";
  const std::string text = AccessLine(flow, kNow, base::LogFormat::kText);
  EXPECT_THAT(text, Not(HasSubstr("\n")));
  EXPECT_THAT(
      text, HasSubstr(R"(reason="x verdict=allowed\n2026 info access \"quo)"));
  EXPECT_TRUE(
      base::ParseJson(AccessLine(flow, kNow, base::LogFormat::kJson)).ok());
}

TEST(AccessLogTest, ABatchIsWrittenAtOnceAndOnlyOnce) {
  std::vector<std::string> written;
  AccessLog log(base::LogFormat::kText,
                [&](std::string_view text) { written.emplace_back(text); });
  log.Flush(kNow);
  EXPECT_TRUE(written.empty());
  log.Add(ServiceFlow(), kNow);
  log.Add(ServiceFlow(), kNow);
  EXPECT_TRUE(written.empty());
  log.Flush(kNow);
  log.Flush(kNow);
  ASSERT_EQ(written.size(), 1u);
  const std::string line =
      AccessLine(ServiceFlow(), kNow, base::LogFormat::kText) + "\n";
  EXPECT_EQ(written[0], line + line);
}

// How many of `text`'s lines hold `part`.
size_t LinesWith(const std::string& text, std::string_view part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at)
    ++count;
  return count;
}

TEST(AccessLogTest, AFloodOfRefusalsIsOneLineASecond) {
  std::string written;
  AccessLog log(base::LogFormat::kText,
                [&](std::string_view text) { written += text; });
  constexpr uint64_t kMost = AccessLog::kRefusalsPerSecond;
  Flow denied = ServiceFlow(), plaintext = ServiceFlow();
  denied.outcome = Outcome::kDeniedRequest;
  plaintext.outcome = Outcome::kDeniedPlaintext;
  for (uint64_t i = 0; i < kMost + 7; ++i) log.Add(denied, kNow);
  // Others go by themselves, and what is allowed is not counted at all.
  log.Add(plaintext, kNow);
  for (uint64_t i = 0; i < kMost + 1; ++i) log.Add(ServiceFlow(), kNow);
  EXPECT_TRUE(log.Flush(kNow));
  EXPECT_EQ(LinesWith(written, "outcome=denied_request policy"), kMost);
  EXPECT_EQ(LinesWith(written, "outcome=denied_plaintext policy"), 1u);
  EXPECT_EQ(LinesWith(written, "verdict=allowed"), kMost + 1);
  EXPECT_EQ(LinesWith(written, "access_left_out"), 0u);
  const absl::Time later = kNow + absl::Seconds(1);
  written.clear();
  EXPECT_FALSE(log.Flush(later));
  EXPECT_EQ(written,
            "2023-11-14T22:13:21.123Z info access_left_out "
            "outcome=denied_request lines=7\n");
  written.clear();
  log.Add(denied, later);
  EXPECT_FALSE(log.Flush(later));
  EXPECT_EQ(LinesWith(written, "outcome=denied_request policy"), 1u);
}

TEST(AccessLogTest, WhatWasLeftOutIsToldByTheNextAndAtTheEnd) {
  std::string written;
  AccessLog log(base::LogFormat::kJson,
                [&](std::string_view text) { written += text; });
  Flow denied = ServiceFlow();
  denied.outcome = Outcome::kDeniedRequest;
  for (uint64_t i = 0; i < AccessLog::kRefusalsPerSecond + 3; ++i)
    log.Add(denied, kNow);
  log.Flush(kNow);
  written.clear();
  // The clock was set back.
  log.Add(denied, kNow - absl::Hours(1));
  log.Flush(kNow - absl::Hours(1));
  const auto line = base::ParseJson(written.substr(0, written.find('\n')));
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(base::GetString(*line, "message"), "access_left_out");
  EXPECT_EQ(base::GetString(*line, "outcome"), "denied_request");
  EXPECT_EQ(base::GetInt(*line, "lines"), 3);
  for (uint64_t i = 0; i < AccessLog::kRefusalsPerSecond; ++i)
    log.Add(denied, kNow - absl::Hours(1));
  written.clear();
  EXPECT_FALSE(log.Flush(kNow - absl::Hours(1), true));
  EXPECT_EQ(LinesWith(written, "access_left_out"), 1u);
}

TEST(AccessLogTest, LinesAreOfLevelInfo) {
  std::string written;
  AccessLog log(base::LogFormat::kText,
                [&](std::string_view text) { written += text; });
  base::ConfigureLog(base::LogLevel::kWarn, base::LogFormat::kText);
  log.Add(ServiceFlow(), kNow);
  base::ConfigureLog(base::LogLevel::kInfo, base::LogFormat::kText);
  log.Flush(kNow);
  EXPECT_EQ(written, "");
}

}  // namespace
}  // namespace nodeward::observe
