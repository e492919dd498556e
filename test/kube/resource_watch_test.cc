// SPDX-License-Identifier: Apache-2.0
#include "kube/resource_watch.h"

#include <gmock/gmock.h>

#include <set>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;

class ResourceWatchTest : public ApiTest, public ObjectSink {
 protected:
  void Follow() {
    loop_.Do([&] {
      watch_ = std::make_unique<ResourceWatch>(
          loop_.loop(), client_.get(), Resource{"Thing", {"/things"}}, this,
          [] { return 0.0; }, [this] { ++changes_; }, [this] { ++answers_; });
      watch_->Start();
    });
  }
  void TearDown() override {
    loop_.Do([&] { watch_.reset(); });
    ApiTest::TearDown();
  }
  void Put(base::Json object) override { keys_.insert(KeyOf(object)); }
  void Remove(const std::string& key) override { keys_.erase(key); }
  void Synced(const absl::flat_hash_set<std::string>&) override {}

  // Of the loop's thread.
  std::unique_ptr<ResourceWatch> watch_;
  std::set<std::string> keys_;
  int changes_ = 0;
  int answers_ = 0;
};

TEST_F(ResourceWatchTest, TellsWhatTheServerHas) {
  Set("GET /things", 200,
      R"({"type":"ADDED","object":{"metadata":{"name":"a"}}})"
      "\n"
      R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5",)"
      R"("annotations":{"k8s.io/initial-events-end":"true"}}}})"
      "\n...\n");
  Follow();
  AwaitOnLoop([&] { return watch_->state().synced(); });
  loop_.Do([&] {
    EXPECT_TRUE(keys_.contains("a"));
    EXPECT_GT(changes_, 0);
    EXPECT_EQ(watch_->state().problem(), "");
  });
}

TEST_F(ResourceWatchTest, TriesAgainAfterAFailure) {
  Set("GET /things", 503, R"({"message":"starting"})");
  Follow();
  AwaitOnLoop([&] { return !watch_->state().problem().empty(); });
  loop_.Do([&] {
    EXPECT_THAT(watch_->state().problem(), HasSubstr("503: starting"));
  });
  Set("GET /things", 200,
      R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5",)"
      R"("annotations":{"k8s.io/initial-events-end":"true"}}}})"
      "\n...\n");
  AwaitOnLoop([&] { return watch_->state().synced(); });
  loop_.Do([&] { EXPECT_EQ(watch_->state().problem(), ""); });
}

TEST_F(ResourceWatchTest, HurriesWhenTheServerAnswersOthers) {
  Set("GET /things", 200,
      R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5",)"
      R"("annotations":{"k8s.io/initial-events-end":"true"}}}})"
      "\n...\n");
  // Nothing is sent without a token.
  ASSERT_EQ(unlink((folder_ / "token").c_str()), 0);
  Follow();
  AwaitOnLoop([&] { return changes_ > 0; });
  // Left to itself, the last of these tries comes after minutes.
  for (int tries = 1; tries < 10; ++tries) {
    int before = 0;
    loop_.Do([&] {
      before = changes_;
      watch_->Hurry();
    });
    AwaitOnLoop([&] { return changes_ > before; });
  }
  loop_.Do([&] { EXPECT_EQ(answers_, 0); });
  pki::Spill(folder_ / "token", "again\n");
  loop_.Do([&] { watch_->Hurry(); });
  AwaitOnLoop([&] { return watch_->state().synced(); });
  loop_.Do([&] {
    EXPECT_EQ(answers_, 1);
    // It waits for nothing now.
    watch_->Hurry();
    EXPECT_EQ(watch_->state().problem(), "");
  });
}

}  // namespace
}  // namespace nodeward::kube
