// SPDX-License-Identifier: Apache-2.0
#include "policy/question.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace nodeward::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

base::StatusOr<Question> Read(const std::string& text) {
  const auto json = base::ParseJson(text);
  EXPECT_TRUE(json.ok()) << text;
  return ReadQuestion(*json);
}

TEST(QuestionTest, ReadsEveryMember) {
  const auto question = Read(R"({"id": 7, "from": "cluster.local/ns/a/sa/b",
    "fromIp": "10.0.0.1", "to": "foo/httpbin", "port": 80, "protocol": "http",
    "method": "PUT", "path": "/a?b", "host": "Example.com",
    "headers": {"X-A": "1", "X-B": ["2", "3"]}, "sni": "s.example"})");
  ASSERT_TRUE(question.ok()) << question.status();
  EXPECT_EQ(question->from->ToPrincipal(), "cluster.local/ns/a/sa/b");
  EXPECT_EQ(question->from_ip.ToString(), "10.0.0.1");
  EXPECT_EQ(question->name_space, "foo");
  EXPECT_EQ(question->name, "httpbin");
  EXPECT_EQ(question->port, 80);
  EXPECT_TRUE(question->http);
  EXPECT_EQ(question->method, "PUT");
  EXPECT_EQ(question->path, "/a?b");
  EXPECT_EQ(question->host, "Example.com");
  EXPECT_THAT(question->headers, ElementsAre(Pair("x-a", "1"), Pair("x-b", "2"),
                                             Pair("x-b", "3")));
  EXPECT_EQ(question->sni, "s.example");
}

TEST(QuestionTest, Defaults) {
  const auto question = Read(R"({"from": "none", "to": "a/b", "port": null})");
  ASSERT_TRUE(question.ok()) << question.status();
  EXPECT_FALSE(question->from.has_value());
  EXPECT_TRUE(question->from_ip.is_unspecified());
  EXPECT_FALSE(question->port.has_value());
  EXPECT_FALSE(question->http);
  EXPECT_EQ(question->method, "GET");
  EXPECT_EQ(question->path, "/");
  EXPECT_TRUE(Read(R"({"from": "spiffe://td/ns/a/sa/b", "to": "a/b"})").ok());
}

TEST(QuestionTest, AnythingOfHttpMakesItHttpUnlessItIsSaid) {
  for (const char* member :
       {R"("method": "GET")", R"("path": "/")", R"("host": "a")",
        R"("headers": {})", R"("protocol": "http")"}) {
    EXPECT_TRUE(
        Read(std::string(R"({"from": "none", "to": "a/b", )") + member + "}")
            ->http)
        << member;
  }
  EXPECT_FALSE(Read(R"({"from": "none", "to": "a/b", "sni": "x"})")->http);
  EXPECT_FALSE(
      Read(
          R"({"from": "none", "to": "a/b", "method": "GET", "protocol": "tcp"})")
          ->http);
}

TEST(QuestionTest, TheHostHeaderIsTheHost) {
  const auto question = Read(
      R"({"from": "none", "to": "a/b", "headers": {"Host": "h", "x": "y"}})");
  ASSERT_TRUE(question.ok());
  EXPECT_EQ(question->host, "h");
  EXPECT_EQ(question->headers.size(), 1u);
}

TEST(QuestionTest, SaysWhatIsWrong) {
  const struct {
    const char* text;
    const char* error;
  } rows[] = {
      {"[]", "must be a JSON object"},
      {"{}", "from is required"},
      {R"({"from": "none"})", "to is required"},
      {R"({"to": "a/b"})", "from is required"},
      {R"({"from": "sleep", "to": "a/b"})", "from must be <trust domain>"},
      {R"({"from": 1, "to": "a/b"})", "from must be a string"},
      {R"({"from": "none", "to": "b"})", "to must be <namespace>/"},
      {R"({"from": "none", "to": "a/b/c"})", "to must be <namespace>/"},
      {R"({"from": "none", "to": "a/"})", "to must be <namespace>/"},
      {R"({"from": "none", "to": "a/b", "port": 0})", "port must be"},
      {R"({"from": "none", "to": "a/b", "port": 65536})", "port must be"},
      {R"({"from": "none", "to": "a/b", "port": "80"})", "port must be"},
      {R"({"from": "none", "to": "a/b", "fromIp": "x"})", "fromIp must be"},
      {R"({"from": "none", "to": "a/b", "protocol": "udp"})", "protocol must"},
      {R"({"from": "none", "to": "a/b", "headers": []})", "headers must be"},
      {R"({"from": "none", "to": "a/b", "headers": {"a": 1}})",
       "header a must"},
      {R"({"from": "none", "to": "a/b", "methd": "GET"})",
       "methd is not known"},
  };
  for (const auto& row : rows) {
    const auto question = Read(row.text);
    ASSERT_FALSE(question.ok()) << row.text;
    EXPECT_THAT(std::string(question.status().message()), HasSubstr(row.error));
  }
}

}  // namespace
}  // namespace nodeward::policy
