// SPDX-License-Identifier: Apache-2.0
#include "kube/agents.h"

#include <gmock/gmock.h>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;

constexpr char kPods[] = "GET /api/v1/namespaces/sys/pods";
constexpr char kDaemonSets[] = "GET /apis/apps/v1/namespaces/sys/daemonsets";
constexpr char kRunning[] = R"({"running":{}})";

class AgentsTest : public ApiTest {
 protected:
  base::StatusOr<std::vector<AgentAnswer>> Ask() {
    ClusterAccess access;
    access.server = url_;
    access.roots = root_.certificate.ToPem();
    access.token = "mine";
    return AskAgents(std::move(access), "sys", {"check", "-o", "json"});
  }
  static std::string Pod(const std::string& name, const std::string& node,
                         const std::string& state = kRunning,
                         const std::string& extra = "") {
    return base::StrCat(
        R"({"metadata":{"name":")", name, "\"", extra,
        R"(},"spec":{"nodeName":")", node, R"("},"status":{"phase":"Running",)",
        R"("containerStatuses":[{"name":"agent","state":)", state, "}]}}");
  }
  void SetPods(const std::string& items) {
    Set(kPods, 200, base::StrCat(R"({"items":[)", items, "]}"));
  }
  // What the command in `pod` prints and how it ends.
  void SetOutput(const std::string& pod, const std::string& out, int status) {
    const std::string end =
        status == 0 ? R"({"status":"Success"})"
                    : base::StrCat(R"({"status":"Failure","details":)",
                                   R"({"causes":[{"reason":"ExitCode",)",
                                   R"("message":")", status, R"("}]}})");
    const base::Json messages = {{1, out}, {3, end}};
    Set(base::StrCat(kPods, "/", pod, "/exec"), 101, messages.dump());
  }
};

TEST_F(AgentsTest, AsksEveryAgent) {
  SetPods(Pod("agent-2", "node-b") + "," + Pod("agent-1", "node-a"));
  SetOutput("agent-1", R"({"success":true})", 0);
  SetOutput("agent-2", R"({"success":false})", 1);
  const auto answers = Ask();
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_EQ(answers->size(), 2);
  EXPECT_EQ(answers->at(0).node, "node-a");
  EXPECT_EQ(answers->at(0).pod, "agent-1");
  ASSERT_TRUE(answers->at(0).answer.ok()) << answers->at(0).answer.status();
  EXPECT_TRUE(base::GetBool(*answers->at(0).answer, "success"));
  ASSERT_TRUE(answers->at(1).answer.ok()) << answers->at(1).answer.status();
  EXPECT_FALSE(base::GetBool(*answers->at(1).answer, "success", true));
  EXPECT_THAT(Requests(),
              HasSubstr("/pods?labelSelector=app.kubernetes.io%2Fname%3D"
                        "nodeward-agent Bearer mine"));
  EXPECT_THAT(Requests(),
              HasSubstr("command=%2Fusr%2Fbin%2Fnodeward&command=check"));
}

TEST_F(AgentsTest, OneThatCannotBeAskedIsTold) {
  SetPods(Pod("agent-1", "node-a", R"({"waiting":{"reason":"CrashLoop"}})") +
          "," + Pod("agent-2", "node-b") + "," + Pod("agent-3", "node-c"));
  SetOutput("agent-2", "no JSON", 2);
  Set(base::StrCat(kPods, "/agent-3/exec"), 500, R"({"message":"no way"})");
  const auto answers = Ask();
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_EQ(answers->size(), 3);
  const auto why = [&](size_t at) {
    return std::string(answers->at(at).answer.status().message());
  };
  EXPECT_EQ(why(0), "its pod agent-1 is not running (CrashLoop)");
  EXPECT_THAT(why(1), HasSubstr("it ended with status 2"));
  EXPECT_EQ(why(2),
            "run nodeward in pod agent-3: the server answers 500: no way");
}

TEST_F(AgentsTest, OfTwoOnANodeTheOneThatStays) {
  constexpr char kEnding[] = R"(,"deletionTimestamp":"2024-01-01T00:00:00Z")";
  SetPods(Pod("old", "node-a", kRunning, kEnding) + "," + Pod("new", "node-a") +
          "," + Pod("going", "node-b", kRunning, kEnding) + "," +
          Pod("early", ""));
  SetOutput("new", R"({"success":true})", 0);
  SetOutput("going", R"({"success":true})", 0);
  const auto answers = Ask();
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_EQ(answers->size(), 2);
  EXPECT_EQ(answers->at(0).pod, "new");
  EXPECT_EQ(answers->at(1).pod, "going");
}

TEST_F(AgentsTest, NodesWithoutAnAgentAreTold) {
  SetPods(Pod("agent-1", "node-a"));
  SetOutput("agent-1", R"({"success":true})", 0);
  Set(kDaemonSets, 200,
      R"({"items":[{"status":{"desiredNumberScheduled":3}}]})");
  const auto answers = Ask();
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_EQ(answers->size(), 2);
  EXPECT_EQ(answers->at(1).answer.status().message(),
            "2 of 3 nodes that should have an agent have none");
}

TEST_F(AgentsTest, WhereNoAgentIsItSaysSo) {
  SetPods("");
  EXPECT_THAT(std::string(Ask().status().message()),
              HasSubstr("no agent runs in namespace sys"));
  Set(kPods, 401, R"({"message":"Unauthorized"})");
  EXPECT_THAT(std::string(Ask().status().message()),
              HasSubstr("it answers 401: Unauthorized"));
}

}  // namespace
}  // namespace nodeward::kube
