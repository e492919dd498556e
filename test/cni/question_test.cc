// SPDX-License-Identifier: Apache-2.0
#include "cni/question.h"

#include <gmock/gmock.h>

namespace nodeward::cni {
namespace {

TEST(QuestionTest, ThereAndBack) {
  Question question{.starts = true,
                    .netns = "/var/run/netns/cni-1",
                    .container_id = "c1",
                    .name_space = "full",
                    .pod = "sleep",
                    .uid = "u1",
                    .ips = {*base::IpAddress::Parse("10.0.0.7"),
                            *base::IpAddress::Parse("fd00::7")}};
  const std::string line = LineOf(question);
  EXPECT_TRUE(line.ends_with('\n'));
  EXPECT_EQ(*ReadQuestion(line), question);
  question.starts = false;
  EXPECT_EQ(*ReadQuestion(LineOf(question)), question);
}

TEST(QuestionTest, WhatIsBrokenIsRefused) {
  for (const char* line :
       {"", "[]", R"({"ask":"del"})", R"({"ask":"add"})",
        R"({"ask":"add","netns":"x","namespace":"a","pod":"b","ips":[]})",
        R"({"ask":"add","netns":"/x","namespace":"a","pod":"b","ips":["?"]})",
        R"({"ask":"add","netns":"/x","namespace":"a","pod":"b","ips":[1]})",
        R"({"ask":"add","netns":"/x","namespace":"a","pod":"b"})"}) {
    EXPECT_FALSE(ReadQuestion(line).ok()) << line;
  }
}

TEST(AnswerTest, ThereAndBack) {
  using Kind = Answer::Kind;
  for (const Kind kind :
       {Kind::kCaptured, Kind::kOutside, Kind::kUnsure, Kind::kRefused}) {
    const Answer answer{kind, "why \xff \n"};
    const auto read = ReadAnswer(LineOf(answer));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->kind, kind);
    EXPECT_THAT(read->reason, testing::StartsWith("why "));
  }
  EXPECT_FALSE(ReadAnswer("").ok());
  EXPECT_FALSE(ReadAnswer(R"({"answer":"yes"})").ok());
}

}  // namespace
}  // namespace nodeward::cni
