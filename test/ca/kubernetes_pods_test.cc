// SPDX-License-Identifier: Apache-2.0
#include "ca/kubernetes_pods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/json.h"

namespace nodeward::ca {
namespace {

using base::Json;
using testing::ElementsAre;

constexpr char kPods[] =
    "/api/v1/namespaces/mesh/pods?fieldSelector=spec.nodeName%3Dnode-a%2C"
    "spec.serviceAccountName%3Dapp&limit=100";
constexpr char kNamespace[] = "/api/v1/namespaces/mesh";

// As an item of a list it says neither kind nor version.
Json Pod(const std::string& name, const std::string& phase = "Running") {
  return {{"metadata",
           {{"name", name},
            {"namespace", "mesh"},
            {"uid", "uid-" + name},
            {"managedFields", {{{"manager", "kubelet"}, {"f:a", {}}}}}}},
          {"spec", {{"nodeName", "node-a"}, {"serviceAccountName", "app"}}},
          {"status", {{"phase", phase}, {"podIPs", Json::array()}}}};
}

std::string List(const std::vector<Json>& pods, const std::string& next = "") {
  return Json({{"kind", "PodList"},
               {"apiVersion", "v1"},
               {"metadata", {{"resourceVersion", "7"}, {"continue", next}}},
               {"items", pods}})
      .dump();
}

class KubernetesPodsTest : public testing::Test {
 protected:
  KubernetesPodsTest() {
    answers_[kNamespace] = {
        200, R"({"kind": "Namespace", "apiVersion": "v1", "metadata":
                {"name": "mesh", "labels": {"nodeward.io/mesh": "enabled"}}})"};
  }
  base::StatusOr<PodDirectory::Pod> OnNode() {
    return pods_.OnNode("node-a", {"cluster.local", "mesh", "app"});
  }

  std::map<std::string, std::pair<long, std::string>> answers_;
  std::vector<std::string> asked_;
  base::Status down_;
  const KubernetesPods pods_{
      "cluster.local",
      [this](const std::string& path)
          -> base::StatusOr<std::pair<long, std::string>> {
        asked_.push_back(path);
        if (!down_.ok()) return down_;
        const auto found = answers_.find(path);
        if (found == answers_.end()) return std::pair(404L, std::string("{}"));
        return found->second;
      }};
};

TEST_F(KubernetesPodsTest, AsksForOneAccountOnOneNode) {
  answers_[kPods] = {200, List({Pod("ended", "Succeeded"), Pod("a")})};
  const auto pod = OnNode();
  ASSERT_TRUE(pod.ok()) << pod.status();
  ASSERT_NE(*pod, nullptr);
  EXPECT_EQ((*pod)->name, "a");
  EXPECT_TRUE((*pod)->in_mesh());
  EXPECT_THAT(asked_, ElementsAre(kPods, kNamespace));
}

TEST_F(KubernetesPodsTest, WhatOptsInIsTheNamespaceOfNow) {
  answers_[kPods] = {200, List({Pod("a")})};
  answers_.erase(kNamespace);
  const auto pod = OnNode();
  ASSERT_TRUE(pod.ok()) << pod.status();
  ASSERT_NE(*pod, nullptr);
  EXPECT_FALSE((*pod)->in_mesh());
  answers_[kPods] = {200, List({})};
  EXPECT_EQ(*OnNode(), nullptr);
}

TEST_F(KubernetesPodsTest, TheAnswerIsCheckedAgainstTheQuestion) {
  Json other = Pod("other");
  other["spec"]["nodeName"] = "node-b";
  answers_[kPods] = {200, List({other})};
  EXPECT_EQ(*OnNode(), nullptr);
}

TEST_F(KubernetesPodsTest, ListsInPages) {
  answers_[kPods] = {200, List({Pod("ended", "Failed")}, "t=/1")};
  answers_[std::string(kPods) + "&continue=t%3D%2F1"] = {200, List({Pod("a")})};
  const auto pod = OnNode();
  ASSERT_TRUE(pod.ok()) << pod.status();
  ASSERT_NE(*pod, nullptr);
  EXPECT_EQ((*pod)->name, "a");
}

TEST_F(KubernetesPodsTest, AListThatNeverEndsIsCut) {
  answers_[kPods] = {200, List({Pod("ended", "Failed")}, "x")};
  answers_[std::string(kPods) + "&continue=x"] = answers_[kPods];
  ASSERT_TRUE(OnNode().ok());
  EXPECT_EQ(asked_.size(), 51u);
}

TEST_F(KubernetesPodsTest, FindsByNameUnlessEnded) {
  const std::string path = std::string(kNamespace) + "/pods/a";
  EXPECT_EQ(*pods_.Find("mesh", "a"), nullptr);
  Json pod = Pod("a");
  pod["kind"] = "Pod";
  pod["apiVersion"] = "v1";
  answers_[path] = {200, pod.dump()};
  auto found = pods_.Find("mesh", "a");
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_NE(*found, nullptr);
  EXPECT_EQ((*found)->uid, "uid-a");
  EXPECT_EQ((*found)->node, "node-a");
  EXPECT_EQ((*found)->identity->service_account, "app");
  pod["status"]["phase"] = "Failed";
  answers_[path] = {200, pod.dump()};
  EXPECT_EQ(*pods_.Find("mesh", "a"), nullptr);
}

TEST_F(KubernetesPodsTest, WhatIsNotKnownIsUnavailable) {
  const auto unavailable = [this] {
    const base::Status status = OnNode().status();
    EXPECT_EQ(std::string(status.message()),
              "pods could not be looked up (try again)");
    return absl::IsUnavailable(status);
  };
  for (const long code : {401L, 403L, 429L, 500L, 301L}) {
    answers_[kPods] = {code, "{}"};
    EXPECT_TRUE(unavailable()) << code;
  }
  answers_[kPods] = {200, "<html>"};
  EXPECT_TRUE(unavailable());
  answers_[kPods] = {200, List({Pod("a")})};
  answers_[kNamespace].first = 403;
  EXPECT_TRUE(unavailable());
  down_ = absl::UnavailableError("refused");
  EXPECT_TRUE(unavailable());
  EXPECT_TRUE(absl::IsUnavailable(pods_.Find("mesh", "a").status()));
}

TEST_F(KubernetesPodsTest, NoNameLeavesItsPlaceInThePath) {
  (void)pods_.Find("a/../b", "c?d=e&f");
  EXPECT_THAT(asked_,
              ElementsAre("/api/v1/namespaces/a%2F..%2Fb/pods/c%3Fd%3De%26f"));
  EXPECT_EQ(PercentEncode("aZ09-._~\x7f\xc3"), "aZ09-._~%7F%C3");
}

}  // namespace
}  // namespace nodeward::ca
