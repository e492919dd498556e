// SPDX-License-Identifier: Apache-2.0
#include "kube/node_taint.h"

#include <gmock/gmock.h>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kNode[] =
    R"({"metadata":{"name":"node-a"},"spec":{"taints":[)"
    R"({"key":"nodeward.io/agent-not-ready","effect":"NoSchedule"},)"
    R"({"key":"other","effect":"NoSchedule"},)"
    R"({"key":"nodeward.io/agent-not-ready","effect":"NoExecute"}]}})";
constexpr char kRequest[] = "PATCH /api/v1/nodes/node-a";

class NodeTaintTest : public ApiTest {
 protected:
  void TearDown() override {
    loop_.Do([&] { taint_.reset(); });
    ApiTest::TearDown();
  }
  void Start(const std::string& node,
             const std::string& key = "nodeward.io/agent-not-ready",
             const std::string& end = "...\n") {
    Set("GET /api/v1/nodes", 200,
        base::StrCat(
            R"({"type":"ADDED","object":)", node, "}\n",
            R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5",)"
            R"("annotations":{"k8s.io/initial-events-end":"true"}}}})",
            "\n", end));
    loop_.Do([&] {
      taint_ = std::make_unique<NodeTaint>(loop_.loop(), client_.get(),
                                           "node-a", key, [] { return 0.0; });
      taint_->Watch();
    });
  }
  void SetReady(bool ready) {
    loop_.Do([&] { taint_->SetReady(ready); });
  }
  void AwaitRequest(const std::string& text) {
    Await([&] { return Requests().find(text) != std::string::npos; });
  }
  std::string Problem() {
    std::string problem;
    loop_.Do([&] { problem = taint_->problem(); });
    return problem;
  }

  std::unique_ptr<NodeTaint> taint_;
};

TEST_F(NodeTaintTest, GoesWhenTheAgentIsReady) {
  Set(kRequest, 200, R"({"spec":{"taints":[{"key":"other"}]}})");
  Start(kNode);
  AwaitRequest("GET /api/v1/nodes?");
  SetReady(false);
  EXPECT_THAT(Requests(), Not(HasSubstr("PATCH")));
  SetReady(true);
  AwaitRequest("PATCH");
  EXPECT_THAT(
      Requests(),
      HasSubstr(
          R"(application/json-patch+json [{"op":"test","path":"/spec/taints/2",)"
          R"("value":{"key":"nodeward.io/agent-not-ready",)"
          R"("effect":"NoExecute"}},{"op":"remove","path":"/spec/taints/2"},)"
          R"({"op":"test","path":"/spec/taints/0",)"
          R"("value":{"key":"nodeward.io/agent-not-ready",)"
          R"("effect":"NoSchedule"}},{"op":"remove","path":"/spec/taints/0"}])"));
  EXPECT_THAT(Problem(), IsEmpty());
}

TEST_F(NodeTaintTest, ReadyBeforeItIsSeen) {
  Set(kRequest, 200, R"({"spec":{}})");
  Start(kNode);
  SetReady(true);
  AwaitRequest("PATCH");
}

TEST_F(NodeTaintTest, OthersStay) {
  Start(R"({"metadata":{"name":"node-a"},"spec":{"taints":[{"key":"other"}]}})",
        "nodeward.io/agent-not-ready", "");
  SetReady(true);
  AwaitRequest("resourceVersion=5");  // everything was told
  SetReady(true);
  EXPECT_THAT(Requests(), Not(HasSubstr("PATCH")));
}

TEST_F(NodeTaintTest, WithoutAKeyNothingIsAsked) {
  Start(kNode, "");
  SetReady(true);
  EXPECT_THAT(Requests(), IsEmpty());
}

TEST_F(NodeTaintTest, ARefusalIsToldAndTriedAgain) {
  Set(kRequest, 403, R"({"message":"no"})");
  Start(kNode);
  SetReady(true);
  Await([&] { return !Problem().empty(); });
  EXPECT_EQ(Problem(),
            "remove taint nodeward.io/agent-not-ready of node node-a: HTTP 403 "
            "no");
  Set(kRequest, 200, R"({"spec":{}})");
  Await([&] { return Problem().empty(); });
}

}  // namespace
}  // namespace nodeward::kube
