// SPDX-License-Identifier: Apache-2.0
#include "kube/source.h"

#include <gmock/gmock.h>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;

class FakeSandboxes : public cri::SandboxSource {
 public:
  void Start(std::function<void(const cri::Sandboxes&)>) override {}
  void Expect(std::set<std::string>) override {}
  std::string problem() const override { return why; }
  std::string why;
};

constexpr char kAll[] =
    R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5",)"
    R"("annotations":{"k8s.io/initial-events-end":"true"}}}})"
    "\n...\n";

class SourceTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    for (const char* path : {"/api/v1/pods", "/api/v1/services",
                             "/apis/discovery.k8s.io/v1/endpointslices",
                             "/apis/security.istio.io/v1/peerauthentications",
                             "/apis/security.istio.io/v1/authorizationpolicies",
                             "/apis/networking.k8s.io/v1/networkpolicies"}) {
      Set(base::StrCat("GET ", path), 200, kAll);
    }
  }
  void Follow() {
    Options options;
    options.node = "node-a";
    options.api.server = url_;
    options.api.ca = folder_ / "roots";
    options.api.token = folder_ / "token";
    options.daemonset = "sys/agent";
    loop_.Do([&] {
      auto sandboxes = std::make_unique<FakeSandboxes>();
      sandboxes_ = sandboxes.get();
      source_ =
          FollowKubernetes(loop_.loop(), options, std::move(sandboxes)).value();
      ASSERT_TRUE(source_
                      ->Start([this](const model::SnapshotPtr& snapshot) {
                        latest_ = snapshot;
                      })
                      .ok());
    });
  }
  void TearDown() override {
    loop_.Do([&] { source_.reset(); });
    ApiTest::TearDown();
  }
  std::string Problems() {
    std::string text;
    loop_.Do([&] {
      for (const auto& problem : source_->problems()) {
        text += problem.ToString() + "\n";
      }
    });
    return text;
  }

  FakeSandboxes* sandboxes_ = nullptr;
  std::unique_ptr<Source> source_;
  model::SnapshotPtr latest_;  // of the loop's thread
};

TEST_F(SourceTest, NothingIsKnownUntilEverythingIs) {
  Set("GET /api/v1/namespaces", 403, R"({"message":"forbidden"})");
  Follow();
  Await([&] {
    const std::string problems = Problems();
    return problems.find("forbidden") != std::string::npos &&
           problems.find("endpointslices") == std::string::npos;
  });
  EXPECT_THAT(Problems(),
              HasSubstr("Kubernetes API: follow /api/v1/namespaces: the API "
                        "server answers 403: forbidden\n"));
  loop_.Do([&] { EXPECT_EQ(latest_, nullptr); });
  Set("GET /api/v1/namespaces", 200, kAll);
  AwaitOnLoop([&] { return latest_ != nullptr; });
  Await([&] { return Problems().empty(); });
}

// An agent may be newer than its ClusterRole.
TEST_F(SourceTest, NothingWaitsForNetworkPolicies) {
  Set("GET /api/v1/namespaces", 200, kAll);
  Set("GET /apis/networking.k8s.io/v1/networkpolicies", 403,
      R"({"message":"forbidden"})");
  Follow();
  AwaitOnLoop([&] { return latest_ != nullptr; });
  Await([&] {
    return Problems().find("networkpolicies: the API server answers 403") !=
           std::string::npos;
  });
}

TEST_F(SourceTest, TellsWhatTheRuntimeLacks) {
  Set("GET /api/v1/namespaces", 200, kAll);
  Follow();
  AwaitOnLoop([&] { return latest_ != nullptr; });
  loop_.Do([&] { sandboxes_->why = "container runtime: gone"; });
  EXPECT_EQ(Problems(), "container runtime: gone\n");
}

TEST_F(SourceTest, AsksForItsDaemonSet) {
  Set("GET /apis/apps/v1/namespaces/sys/daemonsets/agent", 404,
      R"({"kind":"Status","reason":"NotFound"})");
  Follow();
  std::promise<bool> answer;
  loop_.Do([&] {
    source_->IsUninstalled([&](bool yes) { answer.set_value(yes); });
  });
  EXPECT_TRUE(answer.get_future().get());
  std::promise<void> removed;
  loop_.Do([&] { source_->RemoveMarks([&] { removed.set_value(); }); });
  removed.get_future().wait();
}

TEST_F(SourceTest, AsksForAPodAndKnowsNamespaces) {
  Set("GET /api/v1/namespaces", 200,
      std::string(R"({"type":"ADDED","object":{"metadata":{"name":"full",)"
                  R"("labels":{"nodeward.io/mesh":"enabled"}}}})"
                  "\n") +
          kAll);
  Set("GET /api/v1/namespaces/full", 200, R"({"metadata":{"name":"full"}})");
  Set("POST /api/v1/namespaces/sys/serviceaccounts/cni/token", 201,
      R"({"status":{"token":"t1"}})");
  Follow();
  AwaitOnLoop([&] { return latest_ != nullptr; });
  loop_.Do([&] {
    EXPECT_EQ(source_->Namespaces(),
              (std::map<std::string, bool>{{"full", true}}));
  });
  std::promise<PodObjects> found;
  std::promise<std::string> token;
  loop_.Do([&] {
    source_->LookUp("full", "p", [&](PodObjects objects) {
      found.set_value(std::move(objects));
    });
    source_->KeepToken("sys/cni", [&](const std::string& renewed) {
      token.set_value(renewed);
    });
  });
  const PodObjects objects = found.get_future().get();
  EXPECT_EQ(objects.namespace_status, 200);
  EXPECT_EQ(objects.pod_status, 404);
  EXPECT_EQ(token.get_future().get(), "t1");
}

TEST_F(SourceTest, TellsThatATokenIsRefused) {
  Set("GET /api/v1/namespaces", 200, kAll);
  Set("POST /api/v1/namespaces/sys/serviceaccounts/cni/token", 403, "{}");
  Follow();
  loop_.Do([&] { source_->KeepToken("sys/cni", [](const std::string&) {}); });
  Await([&] {
    return Problems().find("needs create on serviceaccounts/token") !=
           std::string::npos;
  });
}

}  // namespace
}  // namespace nodeward::kube
