// SPDX-License-Identifier: Apache-2.0
#include "kube/http_client.h"

#include <gmock/gmock.h>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Notes what it is told.
struct Heard : HttpClient::Receiver {
  void OnHead(int got) override { head = got; }
  bool OnBody(int, std::string_view bytes) override {
    body += bytes;
    return !enough;
  }
  void OnEnd(const HttpClient::End& got) override {
    end = got;
    ended = true;
  }
  int head = 0;
  std::string body;
  HttpClient::End end;
  bool ended = false;
  bool enough = false;
};

class HttpClientTest : public ApiTest {};

TEST_F(HttpClientTest, ShowsTheTokenOfNow) {
  Set("GET /a", 200, "hello");
  auto answer = Ask({.target = "/a?b=c"});
  EXPECT_TRUE(answer.transport.ok()) << answer.transport;
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello");
  pki::Spill(folder_ / "token", "second\n");
  Ask({.target = "/a"});
  EXPECT_EQ(Requests(),
            "GET /a?b=c Bearer first - \nGET /a Bearer second - \n");
}

TEST_F(HttpClientTest, SendsABody) {
  Set("PATCH /a", 200, "");
  Ask({.method = "PATCH",
       .target = "/a",
       .body = "{\"x\":1}",
       .content_type = "application/merge-patch+json"});
  EXPECT_EQ(Requests(),
            "PATCH /a Bearer first application/merge-patch+json {\"x\":1}\n");
}

TEST_F(HttpClientTest, TellsHowLongToWait) {
  Set("GET /a", 429, "slow", R"({"Retry-After":"7"})");
  Heard heard;
  loop_.Do([&] { client_->Send({.target = "/a"}, &heard); });
  AwaitOnLoop([&] { return heard.ended; });
  EXPECT_EQ(heard.head, 429);
  EXPECT_EQ(heard.end.status, 429);
  EXPECT_EQ(heard.end.retry_after, absl::Seconds(7));
  EXPECT_EQ(heard.body, "slow");
}

TEST_F(HttpClientTest, TellsAnAnswerAsItComes) {
  Set("GET /w", 200, "one\n...\n");
  Heard heard;
  uint64_t id = 0;
  loop_.Do([&] {
    id = client_->Send({.target = "/w", .deadline = absl::Hours(1)}, &heard);
  });
  AwaitOnLoop([&] { return heard.body == "one\n"; });
  EXPECT_EQ(heard.head, 200);
  EXPECT_FALSE(heard.ended);
  // Another beside it.
  Set("GET /a", 200, "hello");
  EXPECT_EQ(Ask({.target = "/a"}).body, "hello");
  loop_.Do([&] { client_->Cancel(id); });
  EXPECT_FALSE(heard.ended);
}

TEST_F(HttpClientTest, EndsAnAnswerOfWhichThereIsEnough) {
  Set("GET /w", 200, "one\n...\n");
  Heard heard;
  heard.enough = true;
  loop_.Do([&] {
    client_->Send({.target = "/w", .deadline = absl::Hours(1)}, &heard);
  });
  AwaitOnLoop([&] { return heard.ended; });
  EXPECT_FALSE(heard.end.transport.ok());
  EXPECT_EQ(heard.end.status, 200);
}

TEST_F(HttpClientTest, ADeadlineEndsIt) {
  Set("GET /w", 200, "...\n");
  const auto answer =
      Ask({.target = "/w", .deadline = absl::Milliseconds(300)});
  EXPECT_TRUE(absl::IsUnavailable(answer.transport));
}

TEST_F(HttpClientTest, AServerThatGivesNoSignOfLifeIsLeft) {
  HttpClient::Options options;
  options.silence = absl::Milliseconds(200);
  options.patience = absl::Seconds(5);
  MakeClient(options);
  Set("GET /w", 200, "one\n...\n");
  Heard heard;
  loop_.Do([&] {
    client_->Send({.target = "/w", .deadline = absl::Hours(1)}, &heard);
  });
  // As long as it answers, silence is no harm.
  Await([&] {
    const std::string requests = Requests();
    return requests.find("/version") != requests.rfind("/version");
  });
  loop_.Do([&] { EXPECT_FALSE(heard.ended); });
  StopServer(SIGSTOP);
  AwaitOnLoop([&] { return heard.ended; });
  EXPECT_THAT(std::string(heard.end.transport.message()),
              HasSubstr("no sign of life"));
  StopServer(SIGCONT);
  Set("GET /a", 200, "hello");
  EXPECT_EQ(Ask({.target = "/a", .deadline = absl::Minutes(1)}).body, "hello");
}

TEST_F(HttpClientTest, NoTokenNoRequest) {
  unlink((folder_ / "token").c_str());
  const auto answer = Ask({.target = "/a"});
  EXPECT_FALSE(answer.transport.ok());
  EXPECT_EQ(answer.status, 0);
  EXPECT_THAT(Requests(), IsEmpty());
}

TEST_F(HttpClientTest, AServerOfOtherRootsLearnsNoToken) {
  pki::Spill(folder_ / "roots", pki::NewRoot().certificate.ToPem());
  const auto answer = Ask({.target = "/a"});
  EXPECT_FALSE(answer.transport.ok());
  EXPECT_THAT(Requests(), IsEmpty());
}

TEST_F(HttpClientTest, NobodyThereIsUnavailable) {
  StopServer(SIGKILL);
  const auto answer = Ask({.target = "/a"});
  EXPECT_TRUE(absl::IsUnavailable(answer.transport)) << answer.transport;
  EXPECT_THAT(std::string(answer.transport.message()), HasSubstr(url_));
  unlink((folder_ / "port").c_str());
  StartServer();
}

}  // namespace
}  // namespace nodeward::kube
