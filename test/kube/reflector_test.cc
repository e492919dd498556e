// SPDX-License-Identifier: Apache-2.0
#include "kube/reflector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"

namespace nodeward::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::StartsWith;

// What the API server has, as it was told.
class Store : public ObjectSink {
 public:
  void Put(base::Json object) override {
    objects[KeyOf(object)] =
        base::GetString(base::GetMember(object, "metadata"), "resourceVersion");
  }
  void Remove(const std::string& key) override { objects.erase(key); }
  void Synced(const absl::flat_hash_set<std::string>& keys) override {
    ++syncs;
    std::erase_if(objects,
                  [&](const auto& each) { return !keys.contains(each.first); });
  }
  std::map<std::string, std::string> objects;  // key -> version
  int syncs = 0;
};

std::string ObjectText(const std::string& name, int version) {
  return base::StrCat(R"({"metadata":{"namespace":"n","name":")", name,
                      R"(","resourceVersion":")", version, R"("}})");
}

std::string Event(const char* type, const std::string& name, int version) {
  return base::StrCat(R"({"type":")", type, R"(","object":)",
                      ObjectText(name, version), "}\n");
}

std::string Bookmark(int version, bool last = false) {
  return base::StrCat(
      R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":")",
      version, "\"",
      last ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "",
      "}}}\n");
}

std::string Error(int code, const char* message) {
  return base::StrCat(R"({"type":"ERROR","object":{"kind":"Status","code":)",
                      code, R"(,"message":")", message, "\"}}\n");
}

std::string List(const std::string& items, const char* next, int version) {
  return base::StrCat(R"({"metadata":{"resourceVersion":")", version,
                      R"(","continue":")", next, R"("},"items":[)", items,
                      "]}");
}

class ReflectorTest : public testing::Test {
 protected:
  ReflectorTest() { Renew(); }

  // An answer from its first byte to its end, an hour after it was asked for.
  void Answer(int status, const std::string& body,
              absl::Duration retry_after = {}) {
    reflector_->OnHead(status);
    reflector_->OnBody(status, body);
    End(status, base::OkStatus(), retry_after);
  }
  void End(int status, const base::Status& transport = base::OkStatus(),
           absl::Duration retry_after = {}) {
    now_ += absl::Hours(1);
    step_ = reflector_->OnEnd({transport, status, retry_after, now_});
  }
  // Has told of n/a and n/b, and watches from version 5.
  void Sync() {
    reflector_->OnHead(200);
    reflector_->OnBody(200, Event("ADDED", "a", 3) + Event("ADDED", "b", 4) +
                                Bookmark(5, true));
    ASSERT_TRUE(reflector_->synced());
  }

  void Renew() {
    store_ = Store();
    reflector_.emplace(Thing(), &store_, [] { return 0.5; });
    step_ = reflector_->Begin(now_);
  }
  static Resource Thing() {
    return {"Thing", {"/apis/g/v1/things"}, "spec.node=a b", true};
  }

  Store store_;
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  std::optional<Reflector> reflector_;
  Reflector::Step step_;
};

TEST_F(ReflectorTest, AStreamTellsEverythingAndThenWhatChanges) {
  EXPECT_EQ(step_.delay, absl::ZeroDuration());
  EXPECT_EQ(step_.target,
            "/apis/g/v1/things?watch=1&sendInitialEvents=true"
            "&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
            "&timeoutSeconds=450&fieldSelector=spec.node%3Da%20b");
  EXPECT_EQ(step_.deadline, absl::Seconds(480));
  const std::string text = Event("ADDED", "a", 3) + Event("ADDED", "b", 4) +
                           Bookmark(5, true) + Event("MODIFIED", "a", 6) +
                           Event("DELETED", "b", 7) + Event("ADDED", "c", 8) +
                           Bookmark(9);
  for (const char c : text) {
    EXPECT_TRUE(reflector_->OnBody(200, std::string_view(&c, 1)));
  }
  EXPECT_TRUE(reflector_->synced());
  EXPECT_EQ(store_.syncs, 1);
  EXPECT_THAT(store_.objects, ElementsAre(Pair("n/a", "6"), Pair("n/c", "8")));
  End(200);
  EXPECT_EQ(step_.delay, absl::ZeroDuration());
  EXPECT_EQ(step_.target,
            "/apis/g/v1/things?watch=1&allowWatchBookmarks=true"
            "&timeoutSeconds=450&resourceVersion=9"
            "&fieldSelector=spec.node%3Da%20b");
}

TEST_F(ReflectorTest, AStreamThatEndsEarlyIsBegunAnew) {
  reflector_->OnBody(200, Event("ADDED", "a", 3));
  End(200);
  EXPECT_FALSE(reflector_->synced());
  EXPECT_THAT(reflector_->problem(), HasSubstr("before everything was told"));
  EXPECT_EQ(step_.delay, absl::Milliseconds(1200));
  EXPECT_THAT(step_.target, HasSubstr("sendInitialEvents"));
}

TEST_F(ReflectorTest, WhereThereAreNoStreamsPagesAreRead) {
  for (const int status : {400, 422, 500}) {
    Store store;
    Reflector reflector({"Thing", {"/things"}}, &store, [] { return 0.0; });
    (void)reflector.Begin(now_);
    reflector.OnBody(status, R"({"message":"no"})");
    auto step = reflector.OnEnd({base::OkStatus(), status, {}, now_});
    EXPECT_EQ(step.target, "/things?limit=500");
    EXPECT_EQ(step.delay, absl::ZeroDuration());
    reflector.OnBody(200, List(ObjectText("a", 1), "t/1=", 4));
    step = reflector.OnEnd({base::OkStatus(), 200, {}, now_});
    EXPECT_EQ(step.target, "/things?limit=500&continue=t%2F1%3D");
    EXPECT_FALSE(reflector.synced());
    reflector.OnBody(200, List(ObjectText("b", 2), "", 4));
    step = reflector.OnEnd({base::OkStatus(), 200, {}, now_});
    EXPECT_TRUE(reflector.synced());
    EXPECT_THAT(store.objects, ElementsAre(Pair("n/a", "1"), Pair("n/b", "2")));
    EXPECT_THAT(step.target, HasSubstr("&resourceVersion=4"));
    // And the next time, at once.
    reflector.OnBody(200, Error(410, "gone"));
    step = reflector.OnEnd({base::OkStatus(), 200, {}, now_});
    EXPECT_EQ(step.target,
              "/things?limit=500&resourceVersionMatch=NotOlderThan"
              "&resourceVersion=4");
  }
}

TEST_F(ReflectorTest, AnErrorInsideOfAStreamCountsAsOne) {
  reflector_->OnBody(200, Error(500, "RequestWatchProgress is disabled"));
  End(200);
  EXPECT_THAT(step_.target, StartsWith("/apis/g/v1/things?limit=500"));
}

TEST_F(ReflectorTest, AForgottenVersionMeansEverythingAnew) {
  for (const bool inside : {false, true}) {
    Sync();
    if (inside) {
      EXPECT_FALSE(reflector_->OnBody(
          200, Error(410, "too old") + Event("ADDED", "x", 9)));
      End(200, absl::UnavailableError("broken off"));
    } else {
      End(200);
      Answer(410, R"({"message":"too old"})");
    }
    EXPECT_EQ(step_.delay, absl::ZeroDuration());
    EXPECT_THAT(step_.target, HasSubstr("sendInitialEvents"));
    EXPECT_THAT(step_.target, HasSubstr("&resourceVersion=5"));
    // What has gone meanwhile goes; what stands was there all the time.
    EXPECT_EQ(store_.objects.size(), 2);
    reflector_->OnBody(200, Event("ADDED", "b", 8) + Bookmark(9, true));
    EXPECT_THAT(store_.objects, ElementsAre(Pair("n/b", "8")));
    Renew();
  }
}

TEST_F(ReflectorTest, IfEvenThatIsForgottenTheNewestWillDo) {
  Sync();
  End(200);
  Answer(410, "");
  EXPECT_THAT(step_.target, HasSubstr("&resourceVersion=5"));
  Answer(410, "");
  EXPECT_THAT(step_.target, Not(HasSubstr("resourceVersion=")));
  EXPECT_GT(step_.delay, absl::ZeroDuration());
}

TEST_F(ReflectorTest, AServerThatLagsIsAskedForWhatItHas) {
  Sync();
  End(200);
  Answer(410, "");
  Answer(504, R"({"message":"Too large resource version: 5, current: 4"})");
  EXPECT_THAT(step_.target, Not(HasSubstr("resourceVersion=")));
}

TEST_F(ReflectorTest, TooManyRequestsWaitAsLongAsTheyAreTold) {
  Sync();
  End(200);
  Answer(429, R"({"message":"slow"})", absl::Seconds(17));
  EXPECT_EQ(step_.delay, absl::Seconds(17));
  EXPECT_FALSE(step_.unanswered);
  // The watch goes on where it was: no list.
  EXPECT_THAT(step_.target, HasSubstr("watch=1&allowWatchBookmarks=true"));
  EXPECT_THAT(step_.target, HasSubstr("resourceVersion=5"));
  EXPECT_EQ(store_.objects.size(), 2);
}

TEST_F(ReflectorTest, FailuresAreTriedAgainMoreAndMoreSlowly) {
  Sync();
  std::vector<absl::Duration> delays;
  for (int i = 0; i < 8; ++i) {
    step_ = reflector_->OnEnd(
        {absl::UnavailableError("connection refused"), 0, {}, now_});
    delays.push_back(step_.delay);
    EXPECT_TRUE(step_.unanswered);
    EXPECT_THAT(step_.target, HasSubstr("resourceVersion=5"));
  }
  EXPECT_EQ(delays[0], absl::Milliseconds(1200));
  EXPECT_EQ(delays[1], absl::Milliseconds(2400));
  EXPECT_EQ(delays[7], absl::Seconds(45));
  EXPECT_EQ(reflector_->problem(),
            "follow /apis/g/v1/things: connection refused");
  EXPECT_TRUE(reflector_->synced());
  EXPECT_EQ(store_.objects.size(), 2);
  // A watch that is granted tells it is over, long before anything happens.
  reflector_->OnHead(200);
  EXPECT_THAT(reflector_->problem(), IsEmpty());
  now_ += absl::Minutes(3);
  step_ = reflector_->OnEnd({absl::UnavailableError("reset"), 200, {}, now_});
  EXPECT_EQ(step_.delay, absl::Milliseconds(1200));
}

// While it starts it refuses what it grants a moment later: its rules of access
// have not been read yet.
TEST_F(ReflectorTest, AServerThatIsBackIsAskedAgainSoon) {
  Sync();
  for (int i = 0; i < 8; ++i) {
    step_ = reflector_->OnEnd(
        {absl::UnavailableError("connection refused"), 0, {}, now_});
  }
  for (const int millis : {1200, 2400}) {
    step_ = reflector_->OnEnd({base::OkStatus(), 403, {}, now_});
    EXPECT_EQ(step_.delay, absl::Milliseconds(millis));
  }
}

TEST_F(ReflectorTest, AWatchThatEndsAtOnceIsNoReasonToHurry) {
  Sync();
  End(200);
  step_ = reflector_->OnEnd(
      {base::OkStatus(), 200, {}, now_ + absl::Milliseconds(10)});
  EXPECT_GT(step_.delay, absl::ZeroDuration());
}

TEST_F(ReflectorTest, RefusalsAreToldAndChangeNothing) {
  for (const int status : {401, 403, 503}) {
    Sync();
    End(200);
    Answer(status, R"({"kind":"Status","message":"why"})");
    EXPECT_THAT(reflector_->problem(),
                HasSubstr(base::StrCat("answers ", status, ": why")));
    EXPECT_GT(step_.delay, absl::ZeroDuration());
    EXPECT_EQ(store_.objects.size(), 2);
    Renew();
  }
}

TEST_F(ReflectorTest, NonsenseIsNoNews) {
  Sync();
  for (const char* line : {"no json\n", "{}\n", "[]\n",
                           R"({"type":"ADDED","object":7})"
                           "\n"}) {
    EXPECT_FALSE(reflector_->OnBody(200, line));
    End(200);
    EXPECT_THAT(reflector_->problem(), HasSubstr("not what it should be"));
  }
  EXPECT_EQ(store_.objects.size(), 2);
}

TEST_F(ReflectorTest, AListThatIsCutOffRemovesNothing) {
  Sync();
  End(200);
  Answer(410, "");
  Answer(422, "");
  reflector_->OnBody(200, R"({"metadata":{"resourceVersion":"9"},"items":[)");
  End(200);
  EXPECT_EQ(store_.objects.size(), 2);
  EXPECT_THAT(reflector_->problem(), HasSubstr("cut off"));
}

TEST_F(ReflectorTest, AKindThatIsNotServedHasNoObjects) {
  Answer(404, "404 page not found");
  EXPECT_TRUE(reflector_->synced());
  EXPECT_THAT(reflector_->problem(), IsEmpty());
  EXPECT_EQ(step_.delay, absl::Seconds(22.5));
  Answer(404, "");
  EXPECT_EQ(store_.syncs, 1);
  // A failure while it is looked for is over when the server answers again.
  Answer(401, "");
  EXPECT_THAT(reflector_->problem(), HasSubstr("401"));
  Answer(404, "");
  EXPECT_THAT(reflector_->problem(), IsEmpty());
  // It is installed later.
  Sync();
  EXPECT_EQ(store_.objects.size(), 2);
}

TEST_F(ReflectorTest, AKindThatIsServedNoMoreIsLookedForAgainFirst) {
  Sync();
  End(200);
  for (const size_t left : {2U, 2U, 0U}) {
    Answer(404, "");
    EXPECT_EQ(store_.objects.size(), left);
  }
  EXPECT_EQ(step_.delay, absl::Seconds(22.5));
}

TEST(Reflector, AnOlderVersionIsTakenWhereTheNewerIsNotServed) {
  Store store;
  Reflector reflector({"Thing", {"/v1/things", "/v1beta1/things"}, "", true},
                      &store, [] { return 0.0; });
  (void)reflector.Begin(absl::UnixEpoch());
  auto step = reflector.OnEnd({base::OkStatus(), 404, {}, absl::UnixEpoch()});
  EXPECT_THAT(step.target, StartsWith("/v1beta1/things"));
  EXPECT_FALSE(reflector.synced());
  reflector.OnBody(200, Event("ADDED", "a", 3) + Bookmark(5, true));
  EXPECT_TRUE(reflector.synced());
  step = reflector.OnEnd(
      {base::OkStatus(), 200, {}, absl::UnixEpoch() + absl::Hours(1)});
  EXPECT_THAT(step.target, StartsWith("/v1beta1/things"));
}

TEST(Reflector, ACoreKindMustBeServed) {
  Store store;
  Reflector reflector({"Pod", {"/api/v1/pods"}}, &store, [] { return 0.0; });
  (void)reflector.Begin(absl::UnixEpoch());
  (void)reflector.OnEnd({base::OkStatus(), 404, {}, absl::UnixEpoch()});
  EXPECT_FALSE(reflector.synced());
  EXPECT_THAT(reflector.problem(), HasSubstr("404"));
}

}  // namespace
}  // namespace nodeward::kube
