// SPDX-License-Identifier: Apache-2.0
#include "admin/tap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "base/text.h"

namespace nodeward::admin {
namespace {

using base::Json;
using observe::TapEvent;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using Kind = observe::TapSubject::Kind;

class TapCommandTest : public ::testing::Test {
 protected:
  TapCommandTest() {
    web_ = Add("emojivoto", "web-1", "web", "node-a", "10.0.0.1");
    Add("emojivoto", "voting-1", "voting", "node-b", "10.0.0.2");
    Add("legacy", "old-1", "old", "node-a", "10.0.0.3")->membership =
        model::Membership::kNotOptedIn;
    model::Service service;
    service.name = "web-svc";
    service.name_space = "emojivoto";
    model::ServicePort port;
    port.name = "http";
    port.port = 80;
    port.ready = {{{*base::IpAddress::Parse("10.0.0.1"), 8080}, web_}};
    service.ports = {port};
    service_ = std::make_shared<const model::Service>(service);
    snapshot_.services = {service_};
    snapshot_.Finish();
  }
  std::shared_ptr<model::Workload> Add(const std::string& name_space,
                                       const std::string& name,
                                       const std::string& owner,
                                       const std::string& node,
                                       std::string_view ip) {
    auto made = std::make_shared<model::Workload>();
    made->uid = name;
    made->name = name;
    made->name_space = name_space;
    made->workload_name = owner;
    made->node = node;
    made->identity = model::Identity{"cluster.local", name_space, owner};
    made->membership = model::Membership::kEnabled;
    made->ips = {*base::IpAddress::Parse(ip)};
    snapshot_.workloads.push_back(made);
    return made;
  }
  base::StatusOr<observe::TapQuestion> Read(const Json& args) {
    return ReadTapQuestion(args, snapshot_, "node-a");
  }
  std::string Error(const Json& args) {
    return std::string(Read(args).status().message());
  }

  model::Snapshot snapshot_;
  std::shared_ptr<model::Workload> web_;
  std::shared_ptr<const model::Service> service_;
};

TEST_F(TapCommandTest, ResourcesByAnyOfTheirNames) {
  for (const auto& [resource, kind] :
       std::initializer_list<std::pair<std::string, Kind>>{
           {"deploy/web", Kind::kWorkload},
           {"statefulset/web", Kind::kWorkload},
           {"pod/web-1", Kind::kPod},
           {"po/web-1", Kind::kPod},
           {"web-1", Kind::kEither},
           {"web", Kind::kEither},
           {"svc/web-svc", Kind::kService}}) {
    const auto question =
        Read({{"resource", resource}, {"namespace", "emojivoto"}});
    ASSERT_TRUE(question.ok()) << resource << ": " << question.status();
    EXPECT_EQ(question->of.kind, kind) << resource;
    EXPECT_EQ(question->of.name_space, "emojivoto");
    EXPECT_EQ(question->max_rps, 100);
  }
  const auto space = Read({{"resource", "ns/emojivoto"}});
  ASSERT_TRUE(space.ok()) << space.status();
  EXPECT_EQ(space->of.kind, Kind::kAll);
  EXPECT_EQ(space->of.name_space, "emojivoto");
  EXPECT_TRUE(Read(Json::object()).ok());
}

TEST_F(TapCommandTest, FiltersAndTo) {
  const auto question = Read({{"resource", "web"},
                              {"namespace", "emojivoto"},
                              {"to", "voting"},
                              {"method", "GET"},
                              {"path", "/api"},
                              {"authority", "h"},
                              {"max_rps", 7}});
  ASSERT_TRUE(question.ok()) << question.status();
  EXPECT_EQ(question->to->name, "voting");
  EXPECT_EQ(question->to->name_space, "emojivoto");
  EXPECT_EQ(question->method, "GET");
  EXPECT_EQ(question->path, "/api");
  EXPECT_EQ(question->authority, "h");
  EXPECT_EQ(question->max_rps, 7);
  // What names its own namespace is not looked for in the other.
  EXPECT_EQ(Read({{"resource", "web"},
                  {"namespace", "emojivoto"},
                  {"to", "ns/legacy"}})
                ->to->name_space,
            "legacy");
}

TEST_F(TapCommandTest, WhatDoesNotExistSaysWhatDoes) {
  EXPECT_EQ(Error({{"resource", "deploy/wev"}, {"namespace", "emojivoto"}}),
            "there is no deploy/wev in namespace emojivoto; there are "
            "deploy/voting, deploy/web");
  EXPECT_EQ(Error({{"resource", "pod/web"}}),
            "there is no pod/web; there are pod/voting-1, pod/web-1");
  EXPECT_EQ(Error({{"resource", "svc/web"}}),
            "there is no svc/web; there are svc/web-svc");
  EXPECT_EQ(Error({{"resource", "ns/emoji"}}),
            "there is no pod in namespace emoji; there are ns/emojivoto");
  EXPECT_EQ(Error({{"resource", "web"},
                   {"namespace", "emojivoto"},
                   {"to", "deploy/db"}}),
            "there is no deploy/db in namespace emojivoto; there are "
            "deploy/voting, deploy/web");
}

TEST_F(TapCommandTest, WhatIsElsewhereOrOutsideSaysSo) {
  EXPECT_EQ(Error({{"resource", "deploy/voting"}}),
            "no deploy/voting is on this node, node-a; ask the agent of "
            "node-b");
  EXPECT_EQ(Error({{"resource", "deploy/old"}}),
            "pod legacy/old-1 is not in the mesh: not opted in");
}

TEST_F(TapCommandTest, NonsenseIsRefused) {
  EXPECT_THAT(Error({{"resource", "secret/x"}}),
              HasSubstr("cannot be tapped; use deploy/x"));
  EXPECT_THAT(Error({{"resource", "deploy/"}}), HasSubstr("lacks a name"));
  EXPECT_THAT(Error({{"resource", "ns/a"}, {"namespace", "b"}}),
              HasSubstr("ns/a is not namespace b"));
  EXPECT_THAT(Error({{"max_rps", 0}}), HasSubstr("use 1 to 1000000"));
  EXPECT_THAT(Error({{"resource", "svc/web-svc"}, {"to", "web"}}),
              HasSubstr("--to wants pods that send"));
}

TEST_F(TapCommandTest, LinesOfEvents) {
  observe::Taps taps;
  auto lines = StartTap({}, &taps);
  ASSERT_TRUE(lines.ok()) << lines.status();
  observe::TapConnection connection;
  connection.reporter = observe::Reporter::kDestination;
  connection.security = observe::Security::kMutualTls;
  connection.source = *base::Endpoint::Parse("10.0.0.9:4711");
  connection.destination = *base::Endpoint::Parse("[fd00::1]:8080");
  connection.destination_workload = web_;
  connection.destination_identity =
      std::make_shared<const model::Identity>(*web_->identity);
  connection.service = service_;
  TapEvent event;
  event.id = {2, 5};
  event.connection = std::make_shared<const observe::TapConnection>(connection);
  event.method = "GET";
  event.authority = "web-svc.emojivoto:80";
  event.path = "/a?b=\"c\"\\\x1b[31m\xc2\x9b \x7f";
  observe::Flow flow;
  flow.reporter = observe::Reporter::kDestination;
  flow.destination_workload = web_;
  const auto tap = taps.Watching(flow).at(0);
  tap->Push(event);
  std::string out;
  (*lines)->Fill(&out);
  EXPECT_EQ(
      out,
      R"({"event":"req","base":2,"stream":5,"proxy":"in",)"
      R"("src":"10.0.0.9:4711","dst":"[fd00::1]:8080","tls":"true",)"
      R"("dst_pod":"web-1","dst_workload":"web","dst_namespace":"emojivoto",)"
      R"("dst_identity":"spiffe://cluster.local/ns/emojivoto/sa/web",)"
      R"("dst_service":"web-svc","method":"GET",)"
      R"("authority":"web-svc.emojivoto:80",)"
      R"("path":"/a?b=\"c\"\\x5c\\x1b[31m\\xc2\\x9b\\x20\\x7f"})"
      "\n");
  const auto line = [&](TapEvent::Kind kind) {
    event.kind = kind;
    tap->Push(event);
    out.clear();
    (*lines)->Fill(&out);
    return out;
  };
  event.status = 200;
  event.time = absl::Microseconds(2731);
  EXPECT_THAT(line(TapEvent::Kind::kResponse),
              EndsWith(R"("status":200,"latency_us":2731})"
                       "\n"));
  event.received = 12;
  EXPECT_THAT(line(TapEvent::Kind::kEnd),
              EndsWith(R"("duration_us":2731,"response_length":12})"
                       "\n"));
  event.grpc_status = 0;
  event.reset = "CANCEL";
  EXPECT_THAT(
      line(TapEvent::Kind::kEnd),
      EndsWith(R"("response_length":12,"grpc_status":0,"reset_error":"CANCEL"})"
               "\n"));
  EXPECT_THAT(line(TapEvent::Kind::kOpen), HasSubstr(R"({"event":"open",)"));
  event.sent = 5;
  event.outcome = observe::Outcome::kReset;
  EXPECT_THAT(line(TapEvent::Kind::kClose),
              EndsWith(R"("duration_us":2731,"sent":5,"received":12,)"
                       R"("outcome":"reset"})"
                       "\n"));
  EXPECT_EQ((*lines)->LastLine(),
            "{\"last\":true,\"lost\":0,\"over_limit\":0}\n");
}

TEST_F(TapCommandTest, OnlyMutualTlsIsTrue) {
  observe::Taps taps;
  auto lines = StartTap({}, &taps);
  ASSERT_TRUE(lines.ok());
  observe::Flow flow;
  flow.destination_workload = flow.source_workload = web_;
  using observe::Reporter;
  using observe::Security;
  for (const auto& [security, reporter, text] :
       {std::tuple{Security::kUnknown, Reporter::kSource, "unknown"},
        std::tuple{Security::kPlaintext, Reporter::kSource,
                   "not_provided_by_service_discovery"},
        std::tuple{Security::kPlaintext, Reporter::kDestination,
                   "no_tls_from_remote"},
        std::tuple{Security::kPassthroughTls, Reporter::kDestination, "opaque"},
        std::tuple{Security::kOriginatedTls, Reporter::kSource,
                   "originated"}}) {
    observe::TapConnection connection;
    connection.reporter = reporter;
    connection.security = security;
    TapEvent event;
    event.connection =
        std::make_shared<const observe::TapConnection>(connection);
    taps.Watching(flow).at(0)->Push(event);
    std::string out;
    (*lines)->Fill(&out);
    EXPECT_THAT(out, HasSubstr(base::StrCat("\"tls\":\"", text, "\"")));
  }
}

TEST_F(TapCommandTest, TheTapEndsWithItsLines) {
  observe::Taps taps;
  auto lines = StartTap({}, &taps);
  ASSERT_TRUE(lines.ok());
  EXPECT_TRUE(taps.any());
  (*lines)->Stop();
  EXPECT_FALSE(taps.any());
  auto again = StartTap({}, &taps);
  again->reset();
  EXPECT_FALSE(taps.any());
}

}  // namespace
}  // namespace nodeward::admin
