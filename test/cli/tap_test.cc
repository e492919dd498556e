// SPDX-License-Identifier: Apache-2.0
#include "cli/tap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

using base::Json;

class TapTest : public ::testing::Test {
 protected:
  // An event of proxy=out with the fields of `more`.
  static Json Event(const std::string& kind, const Json& more) {
    Json event = {{"event", kind},
                  {"base", 0},
                  {"stream", 1},
                  {"proxy", "out"},
                  {"src", "10.244.1.176:47130"},
                  {"dst", "10.244.1.165:8080"},
                  {"tls", "true"}};
    event.update(more);
    return event;
  }
  int Run(const std::string& output = "lines") {
    const auto status = Tap(fake_.environment(), {.run_dir = "/run/x",
                                                  .resource = "deploy/web",
                                                  .name_space = "emojivoto",
                                                  .to = "",
                                                  .to_namespace = "",
                                                  .method = "GET",
                                                  .path = "/api",
                                                  .authority = "h",
                                                  .max_rps = 7,
                                                  .output = output});
    if (!status.ok()) error_ = std::string(status.status().message());
    return status.ok() ? *status : -1;
  }

  FakeEnvironment fake_;
  std::string error_;
};

TEST_F(TapTest, WhatIsAsked) {
  EXPECT_EQ(Run(), kOk);
  EXPECT_EQ(fake_.asked_run_dir, "/run/x");
  EXPECT_EQ(fake_.asked_command, "tap");
  EXPECT_EQ(fake_.asked_arguments.dump(),
            R"({"resource":"deploy/web","namespace":"emojivoto","to":"",)"
            R"("to_namespace":"","method":"GET","path":"/api",)"
            R"("authority":"h","max_rps":7})");
}

TEST_F(TapTest, TheLinesOfTheDocuments) {
  Json in = Event("req", {{"method", "GET"},
                          {"authority", "web-svc.emojivoto:80"},
                          {"path", "/api/list"}});
  in["proxy"] = "in";
  in["stream"] = 0;
  fake_.lines = {
      in,
      Event("req", {{"method", "POST"},
                    {"authority", "emoji-svc.emojivoto:8080"},
                    {"path", "/emojivoto.v1.EmojiService/ListAll"}}),
      Event("rsp", {{"status", 200}, {"latency_us", 2731}}),
      Event("end",
            {{"duration_us", 12}, {"response_length", 7}, {"grpc_status", 0}}),
      Event("end",
            {{"duration_us", 12}, {"response_length", 0}, {"grpc_status", 99}}),
      Event("end", {{"duration_us", 12},
                    {"response_length", 7},
                    {"reset_error", "CANCEL"}}),
      Event("open", Json::object()),
      Event("close", {{"duration_us", 5},
                      {"sent", 1},
                      {"received", 2},
                      {"outcome", "closed"}})};
  EXPECT_EQ(Run(), kOk);
  EXPECT_EQ(fake_.out(),
            "req id=0:0 proxy=in  src=10.244.1.176:47130 "
            "dst=10.244.1.165:8080 tls=true :method=GET "
            ":authority=web-svc.emojivoto:80 :path=/api/list\n"
            "req id=0:1 proxy=out src=10.244.1.176:47130 "
            "dst=10.244.1.165:8080 tls=true :method=POST "
            ":authority=emoji-svc.emojivoto:8080 "
            ":path=/emojivoto.v1.EmojiService/ListAll\n"
            "rsp id=0:1 proxy=out src=10.244.1.176:47130 "
            "dst=10.244.1.165:8080 tls=true :status=200 latency=2731µs\n"
            "end id=0:1 proxy=out src=10.244.1.176:47130 "
            "dst=10.244.1.165:8080 tls=true grpc-status=OK duration=12µs "
            "response-length=7B\n"
            "end id=0:1 proxy=out src=10.244.1.176:47130 "
            "dst=10.244.1.165:8080 tls=true grpc-status=Code(99) "
            "duration=12µs response-length=0B\n"
            "end id=0:1 proxy=out src=10.244.1.176:47130 "
            "dst=10.244.1.165:8080 tls=true reset-error=CANCEL duration=12µs "
            "response-length=7B\n"
            "open id=0:1 proxy=out src=10.244.1.176:47130 "
            "dst=10.244.1.165:8080 tls=true\n"
            "close id=0:1 proxy=out src=10.244.1.176:47130 "
            "dst=10.244.1.165:8080 tls=true outcome=closed duration=5µs "
            "sent=1B received=2B\n");
  EXPECT_EQ(fake_.err(), "");
}

TEST_F(TapTest, WideNamesTheEnds) {
  fake_.lines = {Event(
      "open", {{"src_pod", "web-1"},
               {"src_workload", "web"},
               {"src_namespace", "emojivoto"},
               {"src_identity", "spiffe://cluster.local/ns/emojivoto/sa/web"},
               {"dst_pod", "emoji-1"},
               {"dst_service", "emoji-svc"}})};
  EXPECT_EQ(Run("wide"), kOk);
  EXPECT_EQ(fake_.out(),
            "open id=0:1 proxy=out src=10.244.1.176:47130 "
            "dst=10.244.1.165:8080 tls=true src_pod=web-1 src_workload=web "
            "src_namespace=emojivoto src_identity=web.emojivoto "
            "dst_pod=emoji-1 dst_service=emoji-svc\n");
}

TEST_F(TapTest, JsonIsWhatTheAgentSays) {
  fake_.lines = {Event("req", {{"path", "/\u00e9\x7f"}})};
  EXPECT_EQ(Run("json"), kOk);
  EXPECT_EQ(fake_.out(),
            R"({"event":"req","base":0,"stream":1,"proxy":"out",)"
            R"("src":"10.244.1.176:47130","dst":"10.244.1.165:8080",)"
            R"("tls":"true","path":"/\u00e9\u007f"})"
            "\n");
}

TEST_F(TapTest, TheTerminalObeysNothing) {
  fake_.lines = {Event("req", {{"path", "/\x1b[31m\n"}}),
                 Json{{"event", "\x1b]0;x\x07"}}};
  EXPECT_EQ(Run("wide"), kOk);
  EXPECT_EQ(fake_.out().find('\x1b'), std::string::npos);
  EXPECT_EQ(fake_.out().find('\x07'), std::string::npos);
}

TEST_F(TapTest, WhatWasMissedIsSaidAtTheEnd) {
  fake_.lines = {Json{{"last", true}, {"lost", 12}, {"over_limit", 3}},
                 Event("open", Json::object())};
  EXPECT_EQ(Run(), kOk);
  EXPECT_EQ(fake_.out(), "");
  EXPECT_EQ(fake_.err(),
            "nodeward tap: 12 lines were lost: they were not read fast "
            "enough\n"
            "nodeward tap: 3 requests were left out: more than --max-rps in a "
            "second\n");
}

TEST_F(TapTest, TheAgentsErrorIsTheCommands) {
  fake_.follow_status = absl::UnavailableError("the agent has ended");
  EXPECT_EQ(Run(), -1);
  EXPECT_EQ(error_, "the agent has ended");
}

}  // namespace
}  // namespace nodeward::cli
