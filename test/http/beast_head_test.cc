// SPDX-License-Identifier: Apache-2.0
#include "http/beast_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nodeward::http {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(BeastHeadTest, ReadsARequestsLines) {
  const auto head = ParseRequestLines(
      "PUT /a?b HTTP/1.1\r\nHost: x\r\nEmpty:\r\nA: \t b c\t \r\n"
      "Content-Length: 12\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->method, "PUT");
  EXPECT_EQ(head->target, "/a?b");
  EXPECT_EQ(head->version, 11);
  EXPECT_FALSE(head->keep_alive);
  EXPECT_EQ(head->length, 12u);
  EXPECT_THAT(
      head->fields,
      ElementsAre(Pair("Host", "x"), Pair("Empty", ""), Pair("A", "b c"),
                  Pair("Content-Length", "12"), Pair("Connection", "close")));
}

TEST(BeastHeadTest, ReadsAResponsesLines) {
  const auto head = ParseResponseLines(
      "HTTP/1.0 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n");
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->status, 404);
  EXPECT_EQ(head->version, 10);
  EXPECT_TRUE(head->chunked);
  EXPECT_FALSE(head->length.has_value());
}

TEST(BeastHeadTest, RefusesWhatIsNoHead) {
  for (const std::string_view text :
       {"GET / HTTP/1.1\r\nHost: x\r\n", "GET /\r\n\r\n", "\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n", "G(T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA b: c\r\n\r\n", "GET / HTTP/1.1\r\n: c\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\nmore"}) {
    EXPECT_FALSE(ParseRequestLines(text).ok()) << text;
  }
  EXPECT_FALSE(ParseResponseLines("HTTP/1.1 20 OK\r\n\r\n").ok());
}

}  // namespace
}  // namespace nodeward::http
