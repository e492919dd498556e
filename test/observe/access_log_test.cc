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
  log.Flush();
  EXPECT_TRUE(written.empty());
  log.Add(ServiceFlow(), kNow);
  log.Add(ServiceFlow(), kNow);
  EXPECT_TRUE(written.empty());
  log.Flush();
  log.Flush();
  ASSERT_EQ(written.size(), 1u);
  const std::string line =
      AccessLine(ServiceFlow(), kNow, base::LogFormat::kText) + "\n";
  EXPECT_EQ(written[0], line + line);
}

TEST(AccessLogTest, LinesAreOfLevelInfo) {
  std::string written;
  AccessLog log(base::LogFormat::kText,
                [&](std::string_view text) { written += text; });
  base::ConfigureLog(base::LogLevel::kWarn, base::LogFormat::kText);
  log.Add(ServiceFlow(), kNow);
  base::ConfigureLog(base::LogLevel::kInfo, base::LogFormat::kText);
  log.Flush();
  EXPECT_EQ(written, "");
}

}  // namespace
}  // namespace nodeward::observe
