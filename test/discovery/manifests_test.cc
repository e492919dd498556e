// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "discovery/folder_fixture.h"
#include "discovery/source.h"
#include "discovery/watch_fixture.h"

namespace nodeward::discovery {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPods =
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: mtls-test, labels: "
    "{nodeward.io/mesh: enabled}}\n---\n"
    "apiVersion: v1\nkind: Pod\nmetadata: {name: httpbin, namespace: "
    "mtls-test, labels: {app: httpbin}}\nspec: {nodeName: node-a}\n"
    "status: {podIPs: [{ip: 10.0.0.1}]}\n";

constexpr const char* kStrict = R"(apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata:
  name: httpbin
  namespace: mtls-test
spec:
  selector:
    matchLabels:
      app: httpbin
  mtls:
    mode: STRICT
)";

ManifestOptions Options(const std::string& directory) {
  ManifestOptions options;
  options.directory = directory;
  return options;
}

class ManifestsTest : public ::testing::Test {
 protected:
  void Start() {
    const base::Status status = thread_.Do([this]() -> base::Status {
      auto source = WatchManifests(thread_.loop(), Options(folder_.path()));
      if (!source.ok()) return source.status();
      source_ = *std::move(source);
      return source_->Start([this](model::SnapshotPtr snapshot) {
        snapshot_.Change([&](model::SnapshotPtr& last) { last = snapshot; });
      });
    });
    ASSERT_TRUE(status.ok()) << status;
  }

  bool Await(const std::function<bool(const model::Snapshot&)>& so) {
    return snapshot_.Await(
        [&](const model::SnapshotPtr& snapshot) { return so(*snapshot); });
  }

  ~ManifestsTest() override {
    thread_.Do([this] { source_.reset(); });
  }

  TemporaryFolder folder_;
  Awaited<model::SnapshotPtr> snapshot_;
  LoopThread thread_;
  std::unique_ptr<Source> source_;
};

TEST_F(ManifestsTest, TheFirstSnapshotIsThereBeforeStartReturns) {
  folder_.Write("pods.yaml", kPods);
  Start();
  const auto snapshot = snapshot_.Get();
  ASSERT_NE(snapshot, nullptr);
  ASSERT_EQ(snapshot->workloads.size(), 1u);
  EXPECT_TRUE(snapshot->workloads[0]->in_mesh());
}

TEST_F(ManifestsTest, AnEmptyDirectoryHasASnapshotToo) {
  Start();
  ASSERT_NE(snapshot_.Get(), nullptr);
  EXPECT_TRUE(snapshot_.Get()->workloads.empty());
}

TEST_F(ManifestsTest, APolicyComesAndGoes) {
  folder_.Write("pods.yaml", kPods);
  Start();
  folder_.Write("strict.yaml", kStrict);
  EXPECT_TRUE(Await([](const model::Snapshot& snapshot) {
    return snapshot.peer_authentications.size() == 1 &&
           snapshot.peer_authentications[0].mode == model::MtlsMode::kStrict;
  }));
  folder_.Remove("strict.yaml");
  EXPECT_TRUE(Await([](const model::Snapshot& snapshot) {
    return snapshot.peer_authentications.empty();
  }));
}

TEST_F(ManifestsTest, ABrokenFileKeepsItsLastGoodState) {
  folder_.Write("strict.yaml", kStrict);
  Start();
  folder_.Write("strict.yaml", "apiVersion: [\n");
  EXPECT_TRUE(Await([](const model::Snapshot& snapshot) {
    return snapshot.problems.size() == 1;
  }));
  const auto snapshot = snapshot_.Get();
  EXPECT_EQ(snapshot->peer_authentications.size(), 1u);
  EXPECT_TRUE(snapshot->closing_policies.empty());
  EXPECT_FALSE(snapshot->problems[0].closes);
  EXPECT_THAT(snapshot->problems[0].ToString(), HasSubstr("strict.yaml:2: "));
}

TEST_F(ManifestsTest, AFileThatMayBeReadNoMoreKeepsItsLastGoodState) {
  folder_.Write("strict.yaml", kStrict);
  Start();
  ASSERT_EQ(chmod(folder_.At("strict.yaml").c_str(), 0666), 0);
  EXPECT_TRUE(Await([](const model::Snapshot& snapshot) {
    return snapshot.problems.size() == 1;
  }));
  EXPECT_EQ(snapshot_.Get()->peer_authentications.size(), 1u);
  EXPECT_THAT(snapshot_.Get()->problems[0].ToString(),
              HasSubstr("the last good state stays in force"));
}

TEST_F(ManifestsTest, ABrokenPolicyThatNeverWasGoodCloses) {
  folder_.Write("pods.yaml", kPods);
  Start();
  folder_.Write("strict.yaml", std::string(kStrict) + "  x: [\n");
  EXPECT_TRUE(Await([](const model::Snapshot& snapshot) {
    return snapshot.closing_policies.size() == 1;
  }));
  EXPECT_TRUE(snapshot_.Get()->problems.at(0).closes);
  folder_.Write("strict.yaml", kStrict);
  EXPECT_TRUE(Await([](const model::Snapshot& snapshot) {
    return snapshot.closing_policies.empty() && snapshot.problems.empty() &&
           snapshot.peer_authentications.size() == 1;
  }));
}

TEST_F(ManifestsTest, OptInFollowsTheLabel) {
  std::string text = kPods;
  folder_.Write("pods.yaml", text);
  Start();
  const auto in_mesh = [](const model::Snapshot& snapshot) {
    return snapshot.workloads.at(0)->in_mesh();
  };
  EXPECT_TRUE(Await(in_mesh));
  text.replace(text.find("enabled"), 7, "disabled");
  folder_.Write("pods.yaml", text);
  EXPECT_TRUE(Await([&](const auto& snapshot) { return !in_mesh(snapshot); }));
  text.replace(text.find("disabled"), 8, "required");
  folder_.Write("pods.yaml", text);
  EXPECT_TRUE(Await(in_mesh));
}

TEST_F(ManifestsTest, RefusesToStartWithoutASafeDirectory) {
  const auto error = [&] {
    return thread_.Do([this] {
      return std::string(WatchManifests(thread_.loop(), Options(folder_.path()))
                             .status()
                             .message());
    });
  };
  ASSERT_EQ(chmod(folder_.path().c_str(), 0777), 0);
  EXPECT_THAT(error(), AllOf(HasSubstr(folder_.path()), HasSubstr("chmod")));
  ASSERT_EQ(rmdir(folder_.path().c_str()), 0);
  EXPECT_THAT(error(), AllOf(HasSubstr(folder_.path()), HasSubstr("mkdir")));
}

}  // namespace
}  // namespace nodeward::discovery
