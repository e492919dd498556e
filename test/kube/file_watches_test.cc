// SPDX-License-Identifier: Apache-2.0
#include "kube/file_watches.h"

#include <gmock/gmock.h>

#include "kube/kubernetes_fixture.h"

namespace nodeward::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kSecrets[] = "/api/v1/namespaces/mongo/secrets";
const model::FileSetKey kClient{"Secret", "mongo", "client"};
const model::FileSetKey kRoots{"ConfigMap", "mongo", "roots"};
// "one", "two"
constexpr char kOne[] =
    R"({"metadata":{"name":"client"},"data":{"tls.key":"b25l"}})";
constexpr char kTwo[] = R"({"data":{"tls.key":"dHdv"}})";

class FileWatchesTest : public KubernetesTest {
 protected:
  void SetUp() override {
    KubernetesTest::SetUp();
    loop_.Do([&] {
      mirror_ =
          std::make_unique<Mirror>(discovery::ManifestOptions(), "node-a");
      watches_ = std::make_unique<FileWatches>(
          loop_.loop(), client_.get(), mirror_.get(), [] { return 0.0; },
          [this] { ++changes_; });
    });
  }
  void TearDown() override {
    loop_.Do([&] {
      watches_.reset();
      mirror_.reset();
    });
    KubernetesTest::TearDown();
  }
  void Want(const std::set<model::FileSetKey>& wanted) {
    loop_.Do([&] { watches_->Want(wanted); });
  }
  std::vector<std::string> Problems() {
    std::vector<std::string> problems;
    loop_.Do([&] { problems = watches_->problems(); });
    return problems;
  }
  // The content of a file of a snapshot made now; "none".
  std::string Content(const model::FileSetKey& key, const std::string& file) {
    std::string content = "none";
    loop_.Do([&] {
      const model::SnapshotPtr snapshot = mirror_->Build();
      const auto set = snapshot->file_sets.find(key);
      if (set == snapshot->file_sets.end()) return;
      const auto found = set->second->files.find(file);
      if (found != set->second->files.end()) content = found->second;
    });
    return content;
  }
  void AwaitContent(const std::string& content) {
    Await([&] { return Content(kClient, "tls.key") == content; });
  }

  std::unique_ptr<Mirror> mirror_;
  std::unique_ptr<FileWatches> watches_;
  int changes_ = 0;
};

TEST_F(FileWatchesTest, FollowsWhatIsWantedByItsName) {
  ASSERT_EQ(Do("POST", kSecrets, kOne), 201);
  Want({kClient});
  AwaitContent("one");
  EXPECT_THAT(Requests(), HasSubstr("&fieldSelector=metadata.name%3Dclient"));
  ASSERT_EQ(Do("PATCH", base::StrCat(kSecrets, "/client"), kTwo), 200);
  AwaitContent("two");
  ASSERT_EQ(Do("DELETE", base::StrCat(kSecrets, "/client")), 200);
  AwaitContent("none");
  ASSERT_EQ(Do("POST", kSecrets, kOne), 201);
  AwaitContent("one");
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(FileWatchesTest, WhatIsNotWantedAnyMoreIsForgotten) {
  ASSERT_EQ(Do("POST", kSecrets, kOne), 201);
  Want({kClient, kRoots});
  AwaitContent("one");
  int before = 0;
  loop_.Do([&] { before = changes_; });
  Want({kRoots});
  EXPECT_EQ(Content(kClient, "tls.key"), "none");
  loop_.Do([&] { EXPECT_GT(changes_, before); });
  // What is wanted all along is not asked for anew.
  EXPECT_EQ(Asked("/configmaps?"), 1u);
}

TEST_F(FileWatchesTest, WhatMayNotBeReadTellsWhatToAdd) {
  ASSERT_EQ(Do("POST", kSecrets, kOne), 201);
  Refuse(R"({"GET": 403})");
  Want({kClient, kRoots, {"Secret", "other", "x"}});
  const auto says = [&](const std::string& text) {
    const auto all = Problems();
    return std::any_of(all.begin(), all.end(), [&](const std::string& each) {
      return each.find(text) != std::string::npos;
    });
  };
  Await([&] {
    return says(
               "tlsFiles: [{namespace: mongo, secrets: [client], configMaps: "
               "[roots]}]") &&
           says("tlsFiles: [{namespace: other, secrets: [x], configMaps: []}]");
  });
  EXPECT_EQ(Problems().size(), 2u);
  EXPECT_EQ(Content(kClient, "tls.key"), "none");
  Refuse("");
  AwaitContent("one");
  Await([&] { return Problems().empty(); });
}

TEST_F(FileWatchesTest, AnotherFailureIsToldAsItIs) {
  Refuse(R"({"GET": 503})");
  Want({kClient});
  Await([&] { return !Problems().empty(); });
  EXPECT_THAT(Problems(), ElementsAre(HasSubstr("secrets: the API server "
                                                "answers 503")));
  EXPECT_THAT(Problems(), Not(ElementsAre(HasSubstr("tlsFiles"))));
}

}  // namespace
}  // namespace nodeward::kube
