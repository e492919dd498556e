// SPDX-License-Identifier: Apache-2.0
#include "admin/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace nodeward::admin {
namespace {

using base::Json;
using ::testing::HasSubstr;

PodReport Pod(const std::string& name_space, const std::string& name,
              const std::string& state) {
  PodReport pod;
  pod.name_space = name_space;
  pod.name = name;
  pod.state = state;
  return pod;
}

Json Result(const StatusReport& report, const Json& args = Json::object()) {
  auto result = StatusResult(report, args);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : Json();
}

TEST(StatusTest, EveryFieldOfAPodIsThere) {
  StatusReport report;
  PodReport pod = Pod("mtls-test", "httpbin-1", "enrolled");
  pod.reason = "namespace label nodeward.io/mesh=enabled";
  pod.mtls = PodReport::Mtls{"STRICT", {{8080, "PERMISSIVE"}}, "mtls-test/p"};
  pod.certificate = PodReport::Certificate{
      "spiffe://cluster.local/ns/mtls-test/sa/httpbin", "valid", "0a1b",
      absl::FromUnixSeconds(1700000000), ""};
  pod.probe_ports = {80};
  pod.probes_exempt = true;
  report.pods.push_back(pod);
  EXPECT_EQ(Result(report)["pods"][0], *base::ParseJson(R"({
    "namespace": "mtls-test", "name": "httpbin-1", "state": "enrolled",
    "reason": "namespace label nodeward.io/mesh=enabled",
    "mtls": {"mode": "STRICT", "ports": {"8080": "PERMISSIVE"},
             "policy": "mtls-test/p"},
    "certificate": {"identity":
                      "spiffe://cluster.local/ns/mtls-test/sa/httpbin",
                    "state": "valid", "serial": "0a1b",
                    "not_after": "2023-11-14T22:13:20Z", "error": ""},
    "probes": {"ports": [80], "exempt": true, "reason": ""}})"));
}

TEST(StatusTest, WhatAPodHasNotIsNull) {
  StatusReport report;
  report.pods.push_back(Pod("legacy", "sleep", "skipped"));
  const Json pod = Result(report)["pods"][0];
  EXPECT_TRUE(pod["mtls"].is_null());
  EXPECT_TRUE(pod["certificate"].is_null());
}

TEST(StatusTest, TheAgentsOwnFieldsAreThere) {
  StatusReport report;
  report.node = "node-a";
  report.version = "1";
  report.uptime = absl::Seconds(61);
  report.not_ready = {"no CA"};
  report.kubelet = {true, "/kubelet.slice", ""};
  report.problems.push_back({"a.yaml", 3, "Pod x/y", "no IP", false});
  report.ignored_kinds = {{"Deployment", 3}};
  report.open_connections = 5;
  report.counters = {{"lookup_captured", 7}};
  const Json result = Result(report);
  EXPECT_EQ(base::GetString(result, "node"), "node-a");
  EXPECT_EQ(base::GetInt(result, "uptime_seconds"), 61);
  EXPECT_FALSE(base::GetBool(result, "ready", true));
  EXPECT_EQ(result["not_ready"], Json({"no CA"}));
  EXPECT_EQ(base::GetString(result["kubelet"], "cgroup"), "/kubelet.slice");
  EXPECT_EQ(result["problems"][0],
            *base::ParseJson(R"({"file":"a.yaml","line":3,"object":"Pod x/y",
                                 "reason":"no IP","closes":false})"));
  EXPECT_EQ(base::GetInt(result["ignored_kinds"], "Deployment"), 3);
  EXPECT_EQ(base::GetInt(result, "open_connections"), 5);
  EXPECT_EQ(base::GetInt(result["counters"], "lookup_captured"), 7);
}

TEST(StatusTest, PodsAreSortedAndChosenByNamespaceAndName) {
  StatusReport report;
  report.pods = {Pod("b", "x", "enrolled"), Pod("a", "z", "enrolled"),
                 Pod("a", "y", "enrolled")};
  Json all = Result(report)["pods"];
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(base::GetString(all[0], "name"), "y");
  EXPECT_EQ(base::GetString(all[2], "namespace"), "b");
  EXPECT_EQ(Result(report, {{"namespace", "a"}})["pods"].size(), 2u);
  EXPECT_EQ(Result(report, {{"namespace", "a"}, {"pod", "z"}})["pods"].size(),
            1u);
  EXPECT_EQ(Result(report, {{"namespace", "none"}})["pods"].size(), 0u);
}

TEST(StatusTest, APodThatIsNotThereIsAnError) {
  StatusReport report;
  report.node = "node-a";
  report.pods = {Pod("a", "x", "enrolled")};
  const auto result = StatusResult(report, {{"namespace", "b"}, {"pod", "x"}});
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("no pod b/x on node node-a"));
}

TEST(StatusTest, HealthIsThatOfThePodsShownAndOfTheSource) {
  const auto healthy = [](const StatusReport& report,
                          const Json& args = Json::object()) {
    return base::GetBool(Result(report, args), "healthy");
  };
  StatusReport report;
  EXPECT_TRUE(healthy(report));
  report.pods = {Pod("a", "x", "enrolled"), Pod("a", "y", "skipped"),
                 Pod("a", "z", "draining"), Pod("b", "x", "failed")};
  EXPECT_FALSE(healthy(report));
  EXPECT_TRUE(healthy(report, {{"namespace", "a"}}));
  report.pods.pop_back();
  report.pods.push_back(Pod("b", "x", "pending"));
  EXPECT_FALSE(healthy(report));
  report.pods.pop_back();
  report.problems = {{"a.yaml", 1, "", "x", false}};
  EXPECT_TRUE(healthy(report));
  report.problems[0].closes = true;
  EXPECT_FALSE(healthy(report));
}

}  // namespace
}  // namespace nodeward::admin
