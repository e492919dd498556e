// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/json.h"

namespace nodeward::base {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override { ConfigureLog(LogLevel::kInfo, LogFormat::kText); }

  static std::string Line(LogLevel level, std::string_view message,
                          std::initializer_list<LogField> fields = {}) {
    ::testing::internal::CaptureStderr();
    Log(level, message, fields);
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, TextIsOneLineOfFields) {
  const std::string line =
      Line(LogLevel::kWarn, "pod failed", {{"pod", "ns/a"}, {"port", "80"}});
  EXPECT_THAT(line, EndsWith("Z warning pod failed pod=ns/a port=80\n"));
}

TEST_F(LogTest, AValueForgesNeitherLineNorField) {
  const std::string line = Line(LogLevel::kInfo, "two\nlines",
                                {{"a", "x\ny"}, {"b", "1 c=2"}, {"d", ""}});
  EXPECT_THAT(line, EndsWith("two lines a=\"x\\ny\" b=\"1 c=2\" d=\"\"\n"));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST_F(LogTest, JsonIsOneObjectEvenOfBytesThatAreNoUtf8) {
  ConfigureLog(LogLevel::kInfo, LogFormat::kJson);
  const std::string line =
      Line(LogLevel::kError, "bad name", {{"name", "\xff\"\n"}});
  const Json json = Json::parse(line);
  EXPECT_EQ(json["level"], "error");
  EXPECT_EQ(json["message"], "bad name");
  EXPECT_THAT(json["name"].get<std::string>(), HasSubstr("\"\n"));
  EXPECT_TRUE(json.contains("time"));
}

TEST_F(LogTest, WhatIsBelowTheLevelIsNotWritten) {
  EXPECT_THAT(Line(LogLevel::kDebug, "detail"), IsEmpty());
  EXPECT_FALSE(LogEnabled(LogLevel::kDebug));
  ConfigureLog(LogLevel::kError, LogFormat::kText);
  EXPECT_THAT(Line(LogLevel::kWarn, "odd"), IsEmpty());
  EXPECT_THAT(Line(LogLevel::kError, "bad"), HasSubstr("bad"));
}

TEST_F(LogTest, WordsOfTheConfigurationAreParsed) {
  EXPECT_EQ(*ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(*ParseLogLevel("error"), LogLevel::kError);
  EXPECT_EQ(*ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_THAT(std::string(ParseLogLevel("loud").status().message()),
              HasSubstr("'loud': use debug, info, warn or error"));
  EXPECT_THAT(std::string(ParseLogFormat("xml").status().message()),
              HasSubstr("use text or json"));
}

}  // namespace
}  // namespace nodeward::base
