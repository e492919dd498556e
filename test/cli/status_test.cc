// SPDX-License-Identifier: Apache-2.0
#include "cli/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "admin/status.h"
#include "cli/fake_environment_fixture.h"

namespace nodeward::cli {
namespace {

using base::Json;
using ::testing::HasSubstr;

admin::StatusReport MakeReport() {
  admin::StatusReport report;
  report.node = "node-a";
  report.version = "0.1.0";
  report.uptime = absl::Seconds(3723);
  report.ready = true;
  report.ca = "embedded /var/lib/nodeward/ca";
  report.trust_domain = "cluster.local";
  report.kubelet = {true, "/kubelet.slice", ""};
  report.open_connections = 3;
  report.tunnels = 2;
  report.buffered_bytes = 12288;
  admin::PodReport httpbin;
  httpbin.name_space = "mtls-test";
  httpbin.name = "httpbin";
  httpbin.state = "enrolled";
  httpbin.reason = "namespace label nodeward.io/mesh=enabled";
  httpbin.mtls = admin::PodReport::Mtls{"STRICT", {{8080, "PERMISSIVE"}}, ""};
  httpbin.certificate = admin::PodReport::Certificate{
      "", "valid", "01", absl::FromUnixSeconds(1700000000), ""};
  httpbin.probe_ports = {80, 8080};
  httpbin.probes_exempt = true;
  admin::PodReport sleep;
  sleep.name_space = "legacy";
  sleep.name = "sleep";
  sleep.state = "skipped";
  sleep.reason = "not opted in";
  report.pods = {httpbin, sleep};
  return report;
}

class StatusCommandTest : public ::testing::Test {
 protected:
  int Show(const admin::StatusReport& report, StatusOptions options = {}) {
    fake_.answers.insert_or_assign("status",
                                   admin::StatusResult(report, Json::object()));
    const auto status = ShowStatus(fake_.environment(), options);
    return status.ok() ? *status : -1;
  }
  FakeEnvironment fake_;
};

TEST_F(StatusCommandTest, PodsThenTheAgent) {
  EXPECT_EQ(Show(MakeReport()), kOk);
  EXPECT_EQ(
      fake_.out(),
      "NAMESPACE   POD       STATE      REASON                               "
      "      MTLS                       CERTIFICATE                        "
      "PROBES\n"
      "legacy      sleep     skipped    not opted in                         "
      "      -                          -                                  "
      "-\n"
      "mtls-test   httpbin   enrolled   namespace label "
      "nodeward.io/mesh=enabled   STRICT (8080 PERMISSIVE)   valid until "
      "2023-11-14T22:13:20Z   exempt (80, 8080)\n"
      "\n"
      "node           node-a, nodeward 0.1.0, up 1h2m3s\n"
      "ready          yes\n"
      "trust domain   cluster.local\n"
      "ca             embedded /var/lib/nodeward/ca\n"
      "kubelet        /kubelet.slice\n"
      "connections    3 open, 2 tunnels, 12 KiB buffered\n");
}

TEST_F(StatusCommandTest, APodThatFailedIsExitStatusOne) {
  admin::StatusReport report = MakeReport();
  report.pods[0].state = "failed";
  report.pods[0].reason = "port 15008 is taken in the pod";
  report.pods[0].certificate->state = "pending";
  report.pods[0].certificate->not_after = absl::InfinitePast();
  report.pods[0].certificate->error = "the CA is away";
  report.pods[0].probes_exempt = false;
  report.pods[0].probes_reason = "no veth";
  EXPECT_EQ(Show(report), kProblem);
  EXPECT_THAT(fake_.out(), HasSubstr("failed    port 15008 is taken"));
  EXPECT_THAT(fake_.out(), HasSubstr("pending: the CA is away"));
  EXPECT_THAT(fake_.out(), HasSubstr("refused (80, 8080): no veth"));
}

TEST_F(StatusCommandTest, ProblemsAndIgnoredKindsAreShownWithFileAndLine) {
  admin::StatusReport report = MakeReport();
  report.ready = false;
  report.not_ready = {"a policy is broken", "no certificate"};
  report.kubelet = {false, "", "nobody listens on 10250"};
  report.problems = {
      {"strict.yaml", 12, "PeerAuthentication mtls-test/x", "no mode", true},
      {"pods.yaml", 0, "", "cannot be read", false}};
  report.ignored_kinds = {{"Deployment", 3}, {"ConfigMap", 1}};
  EXPECT_EQ(Show(report), kProblem);
  EXPECT_THAT(
      fake_.out(),
      HasSubstr("ready           no: a policy is broken; no certificate\n"));
  EXPECT_THAT(
      fake_.out(),
      HasSubstr("kubelet         not found: nobody listens on 10250\n"));
  EXPECT_THAT(fake_.out(), HasSubstr("ignored kinds   ConfigMap (1), "
                                     "Deployment (3)\n"));
  EXPECT_THAT(fake_.out(),
              HasSubstr("problem         strict.yaml:12: PeerAuthentication "
                        "mtls-test/x: no mode (closes what it concerns)\n"));
  EXPECT_THAT(fake_.out(),
              HasSubstr("problem         pods.yaml: cannot be read\n"));
}

TEST_F(StatusCommandTest, JsonIsTheAgentsAnswer) {
  StatusOptions options;
  options.output = "json";
  EXPECT_EQ(Show(MakeReport(), options), kOk);
  const auto json = base::ParseJson(fake_.out());
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(*json, *admin::StatusResult(MakeReport(), Json::object()));
}

TEST_F(StatusCommandTest, NoPodsAreSaid) {
  admin::StatusReport report = MakeReport();
  report.pods.clear();
  EXPECT_EQ(Show(report), kOk);
  EXPECT_THAT(fake_.out(), HasSubstr("No pods found.\n\nnode "));
}

TEST_F(StatusCommandTest, TheAgentIsAskedForWhatWasNamed) {
  StatusOptions options;
  options.run_dir = "/r";
  options.name_space = "a";
  options.pod = "x";
  Show(MakeReport(), options);
  EXPECT_EQ(fake_.asked_run_dir, "/r");
  EXPECT_EQ(fake_.asked_arguments, (Json{{"namespace", "a"}, {"pod", "x"}}));
  options.pod = "b/y";
  Show(MakeReport(), options);
  EXPECT_EQ(fake_.asked_arguments, (Json{{"namespace", "b"}, {"pod", "y"}}));
}

TEST_F(StatusCommandTest, AnAnswerThatSaysNothingIsNotHealthy) {
  fake_.answers.insert_or_assign("status", Json::object());
  EXPECT_FALSE(ShowStatus(fake_.environment(), {}).ok());
  fake_.answers.insert_or_assign("status", Json{{"pods", Json::array()}});
  EXPECT_EQ(*ShowStatus(fake_.environment(), {}), kProblem);
}

}  // namespace
}  // namespace nodeward::cli
