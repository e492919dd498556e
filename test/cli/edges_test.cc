// SPDX-License-Identifier: Apache-2.0
#include "cli/edges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

using base::Json;
using ::testing::HasSubstr;

Json Edge(const std::string& src, const std::string& src_namespace,
          const std::string& dst, const std::string& reason = "") {
  return {{"src", src},
          {"src_namespace", src_namespace},
          {"dst", dst},
          {"dst_namespace", "emojivoto"},
          {"client_id",
           "spiffe://cluster.local/ns/" + src_namespace + "/sa/" + src},
          {"server_id", "spiffe://cluster.local/ns/emojivoto/sa/" + dst},
          {"no_tls_reason", reason}};
}

class EdgesCommandTest : public ::testing::Test {
 protected:
  int Show(const std::string& output, Json edges, bool truncated = false) {
    fake_.answers.insert_or_assign(
        "edges", Json{{"edges", edges}, {"truncated", truncated}});
    const auto status = Edges(
        fake_.environment(),
        {.run_dir = "/run/x", .name_space = "emojivoto", .output = output});
    return status.ok() ? *status : -1;
  }
  const Json voting_ = Json::array(
      {Edge("vote-bot", "emojivoto", "web"), Edge("web", "emojivoto", "emoji"),
       Edge("web", "emojivoto", "voting"),
       Edge("prometheus", "linkerd-viz", "emoji"),
       Edge("prometheus", "linkerd-viz", "vote-bot"),
       Edge("prometheus", "linkerd-viz", "voting"),
       Edge("prometheus", "linkerd-viz", "web", "plaintext")});
  FakeEnvironment fake_;
};

TEST_F(EdgesCommandTest, TheTable) {
  EXPECT_EQ(Show("table", voting_), kOk);
  EXPECT_EQ(fake_.out(),
            "SRC          DST        SRC_NS        DST_NS      SECURED\n"
            "vote-bot     web        emojivoto     emojivoto   √\n"
            "web          emoji      emojivoto     emojivoto   √\n"
            "web          voting     emojivoto     emojivoto   √\n"
            "prometheus   emoji      linkerd-viz   emojivoto   √\n"
            "prometheus   vote-bot   linkerd-viz   emojivoto   √\n"
            "prometheus   voting     linkerd-viz   emojivoto   √\n"
            "prometheus   web        linkerd-viz   emojivoto   plaintext\n");
  EXPECT_EQ(fake_.err(), "");
}

TEST_F(EdgesCommandTest, WideAddsTheIdentities) {
  EXPECT_EQ(Show("wide", Json::array({voting_[0], voting_[3]})), kOk);
  EXPECT_EQ(fake_.out(),
            "SRC          DST     SRC_NS        DST_NS      CLIENT_ID          "
            "      SERVER_ID         SECURED\n"
            "vote-bot     web     emojivoto     emojivoto   vote-bot.emojivoto "
            "      web.emojivoto     √\n"
            "prometheus   emoji   linkerd-viz   emojivoto   "
            "prometheus.linkerd-viz   emoji.emojivoto   √\n");
}

TEST_F(EdgesCommandTest, WideTellsWhyWhatWasRefused) {
  Json edge = Edge("a", "ns", "b", "refused");
  edge["last_refusal"] = "no such file";
  EXPECT_EQ(Show("wide", Json::array({edge})), kOk);
  EXPECT_THAT(fake_.out(), HasSubstr("refused: no such file\n"));
}

TEST_F(EdgesCommandTest, JsonIsAnArrayWithItsKeys) {
  EXPECT_EQ(Show("json", Json::array({voting_[6]})), kOk);
  EXPECT_EQ(fake_.out(), R"([
  {
    "src": "prometheus",
    "src_namespace": "linkerd-viz",
    "dst": "web",
    "dst_namespace": "emojivoto",
    "client_id": "spiffe://cluster.local/ns/linkerd-viz/sa/prometheus",
    "server_id": "spiffe://cluster.local/ns/emojivoto/sa/web",
    "no_tls_reason": "plaintext"
  }
]
)");
}

TEST_F(EdgesCommandTest, NoEdges) {
  EXPECT_EQ(Show("table", Json::array()), kOk);
  EXPECT_EQ(fake_.out(), "No edges found.\n");
  EXPECT_EQ(Show("json", Json::array()), kOk);
  EXPECT_EQ(fake_.out(), "No edges found.\n[]\n");
}

TEST_F(EdgesCommandTest, TheAgentIsAskedForTheNamespace) {
  Show("table", Json::array());
  EXPECT_EQ(fake_.asked_run_dir, "/run/x");
  EXPECT_EQ(fake_.asked_command, "edges");
  EXPECT_EQ(base::GetString(fake_.asked_arguments, "namespace"), "emojivoto");
}

TEST_F(EdgesCommandTest, ARowWithoutAVerdictIsNotSecured) {
  Json edge = voting_[0];
  edge.erase("no_tls_reason");
  Show("table", Json::array({edge}));
  EXPECT_THAT(fake_.out(), HasSubstr("emojivoto   unknown\n"));
  edge["no_tls_reason"] = nullptr;
  FakeEnvironment other;
  other.answers.insert_or_assign("edges", Json{{"edges", Json::array({edge})}});
  ASSERT_TRUE(Edges(other.environment(), {}).ok());
  EXPECT_THAT(other.out(), HasSubstr("unknown\n"));
}

TEST_F(EdgesCommandTest, MissingEdgesAreAnnounced) {
  Show("table", voting_, true);
  EXPECT_THAT(fake_.err(), HasSubstr("some are missing"));
}

TEST_F(EdgesCommandTest, AnAnswerWithoutEdgesIsAnError) {
  fake_.answers.insert_or_assign("edges", Json::object());
  EXPECT_FALSE(Edges(fake_.environment(), {}).ok());
}

}  // namespace
}  // namespace nodeward::cli
