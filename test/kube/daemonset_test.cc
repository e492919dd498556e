// SPDX-License-Identifier: Apache-2.0
#include "kube/daemonset.h"

#include <gmock/gmock.h>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

constexpr char kRequest[] = "GET /apis/apps/v1/namespaces/sys/daemonsets/agent";
constexpr char kGone[] = R"({"kind":"Status","reason":"NotFound"})";

class DaemonSetTest : public ApiTest {
 protected:
  bool IsDeleted(const std::string& name = "sys/agent") {
    std::unique_ptr<DaemonSet> set;
    std::promise<bool> answer;
    loop_.Do([&] {
      set = std::make_unique<DaemonSet>(loop_.loop(), client_.get(), name);
      set->IsDeleted([&](bool deleted) { answer.set_value(deleted); });
    });
    const bool deleted = answer.get_future().get();
    loop_.Do([&] { set.reset(); });
    return deleted;
  }
  size_t Asked() {
    const std::string requests = Requests();
    return static_cast<size_t>(
        std::count(requests.begin(), requests.end(), '\n'));
  }
};

TEST_F(DaemonSetTest, GoneTwiceIsDeleted) {
  Set(kRequest, 404, kGone);
  EXPECT_TRUE(IsDeleted());
  EXPECT_EQ(Asked(), 2);
}

TEST_F(DaemonSetTest, OnItsWayTwiceIsDeleted) {
  Set(kRequest, 200,
      R"({"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}})");
  EXPECT_TRUE(IsDeleted());
}

TEST_F(DaemonSetTest, WhateverElseIsAnsweredItStands) {
  Set(kRequest, 200, R"({"metadata":{"name":"agent"}})");
  EXPECT_FALSE(IsDeleted());
  EXPECT_EQ(Asked(), 1);
  for (const int status : {401, 403, 500, 503}) {
    Set(kRequest, status, kGone);
    EXPECT_FALSE(IsDeleted()) << status;
  }
  // Not the API server's own word.
  Set(kRequest, 404, "404 page not found");
  EXPECT_FALSE(IsDeleted());
}

TEST_F(DaemonSetTest, ItMustBeKnown) {
  Set(kRequest, 404, kGone);
  EXPECT_FALSE(IsDeleted(""));
  EXPECT_EQ(Asked(), 0);
}

// The watch of a DaemonSet that is told of, then `event`; the question is
// answered by `status`.
class WatchedDaemonSetTest : public DaemonSetTest {
 protected:
  void TearDown() override {
    loop_.Do([&] { set_.reset(); });
    DaemonSetTest::TearDown();
  }
  bool IsDeletedAfter(const std::string& event, int status,
                      const std::string& body) {
    const std::string object =
        R"({"metadata":{"namespace":"sys","name":"agent"}})";
    Set("GET /apis/apps/v1/namespaces/sys/daemonsets", 200,
        base::StrCat(
            R"({"type":"ADDED","object":)", object, "}\n",
            R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5",)"
            R"("annotations":{"k8s.io/initial-events-end":"true"}}}})",
            "\n", event, "\n...\n"));
    Set(kRequest, status, body);
    loop_.Do([&] {
      set_ =
          std::make_unique<DaemonSet>(loop_.loop(), client_.get(), "sys/agent");
      set_->Watch([] { return 0.0; });
    });
    bool deleted = false;
    // Whether the watch has been told by now shows in the answer alone.
    const absl::Time end = absl::Now() + absl::Seconds(event.empty() ? 1 : 60);
    while (!deleted && absl::Now() < end) {
      std::promise<bool> answer;
      loop_.Do(
          [&] { set_->IsDeleted([&](bool yes) { answer.set_value(yes); }); });
      deleted = answer.get_future().get();
    }
    return deleted;
  }

  std::unique_ptr<DaemonSet> set_;
};

constexpr char kDeleted[] =
    R"({"type":"DELETED","object":{"metadata":{"namespace":"sys",)"
    R"("name":"agent","resourceVersion":"6"}}})";

TEST_F(WatchedDaemonSetTest, WhatWasSeenCountsWhenTheRightToAskIsGone) {
  EXPECT_TRUE(IsDeletedAfter(kDeleted, 403, "{}"));
}

TEST_F(WatchedDaemonSetTest, OnItsWayCountsToo) {
  EXPECT_TRUE(IsDeletedAfter(
      R"({"type":"MODIFIED","object":{"metadata":{"namespace":"sys",)"
      R"("name":"agent","deletionTimestamp":"2026-01-01T00:00:00Z"}}})",
      401, "{}"));
}

TEST_F(WatchedDaemonSetTest, OneThatNobodyDeletedStands) {
  EXPECT_FALSE(IsDeletedAfter("", 403, "{}"));
}

TEST_F(WatchedDaemonSetTest, OneThatIsThereAgainStands) {
  EXPECT_TRUE(IsDeletedAfter(kDeleted, 403, "{}"));
  Set(kRequest, 200, R"({"metadata":{"name":"agent"}})");
  std::promise<bool> answer;
  loop_.Do([&] { set_->IsDeleted([&](bool yes) { answer.set_value(yes); }); });
  EXPECT_FALSE(answer.get_future().get());
}

TEST_F(DaemonSetTest, NoAnswerIsNoAnswer) {
  StopServer(SIGKILL);
  EXPECT_FALSE(IsDeleted());
  unlink((folder_ / "port").c_str());
  StartServer();
}

}  // namespace
}  // namespace nodeward::kube
