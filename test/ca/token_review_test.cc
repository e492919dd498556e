// SPDX-License-Identifier: Apache-2.0
#include "ca/token_review.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace nodeward::ca {
namespace {

using base::Json;

// As kube-apiserver 1.34 answers.
Json Good() {
  return {{"kind", "TokenReview"},
          {"apiVersion", "authentication.k8s.io/v1"},
          {"spec", {{"token", "t"}}},
          {"status",
           {{"authenticated", true},
            {"user",
             {{"username", "system:serviceaccount:sys:agent"},
              {"uid", "42"},
              {"groups", {"system:serviceaccounts"}},
              {"extra",
               {{"authentication.kubernetes.io/credential-id", {"JTI=1"}},
                {"authentication.kubernetes.io/node-name", {"node-a"}},
                {"authentication.kubernetes.io/pod-name", {"agent-x"}},
                {"authentication.kubernetes.io/pod-uid", {"uid-x"}}}}}},
            {"audiences", {"nodeward-ca"}}}}};
}

class TokenReviewTest : public testing::Test {
 protected:
  base::StatusOr<Caller> Read(const Json& json) const {
    return ReadTokenReview(json.dump(), {"nodeward-ca", "istio-ca"});
  }
  void ExpectRefused(const Json& json) const {
    const base::Status status = Read(json).status();
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << status << json.dump();
  }
  TokenReview Make() {
    return TokenReview({.audiences = {"nodeward-ca"},
                        .max_kept = 2,
                        .clock = [this] { return now_; }},
                       "https://api",
                       [this](const std::string& path, const std::string& json)
                           -> base::StatusOr<std::pair<long, std::string>> {
                         ++asked_;
                         path_ = path;
                         sent_ = json;
                         if (!down_.ok()) return down_;
                         return std::pair(status_, answer_);
                       });
  }

  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  int asked_ = 0;
  long status_ = 201;
  base::Status down_;
  std::string answer_ = Good().dump();
  std::string path_, sent_;
};

TEST_F(TokenReviewTest, GoodOne) {
  const auto caller = Read(Good());
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(*caller, (Caller{"sys", "agent", "agent-x", "uid-x", "node-a"}));
}

TEST_F(TokenReviewTest, OurAudienceIsNamedOrItIsRefused) {
  Json json = Good();
  json["status"]["audiences"] = {"https://kubernetes.default.svc", "istio-ca"};
  EXPECT_TRUE(Read(json).ok());
  json["status"]["audiences"] = {"https://kubernetes.default.svc"};
  ExpectRefused(json);
  json["status"]["audiences"] = Json::array();
  ExpectRefused(json);
  json["status"].erase("audiences");
  ExpectRefused(json);
  json["status"]["audiences"] = "nodeward-ca";
  ExpectRefused(json);
}

TEST_F(TokenReviewTest, EachOfTheOthersMissing) {
  Json json = Good();
  json["status"]["authenticated"] = false;
  ExpectRefused(json);
  json = Good();
  json["status"].erase("authenticated");
  ExpectRefused(json);
  json = Good();
  json["status"]["authenticated"] = "true";
  ExpectRefused(json);
  json = Good();
  json["status"]["error"] = "expired";
  ExpectRefused(json);
  json = Good();
  json["status"]["error"] = {1};
  ExpectRefused(json);
  json = Good();
  json["status"]["user"]["username"] = "system:node:node-a";
  ExpectRefused(json);
}

TEST_F(TokenReviewTest, ClaimsThatAreNotOneProveNothing) {
  Json json = Good();
  Json& extra = json["status"]["user"]["extra"];
  extra["authentication.kubernetes.io/node-name"] = {"node-a", "node-b"};
  extra["authentication.kubernetes.io/pod-name"] = "agent-x";
  extra["authentication.kubernetes.io/pod-uid"] = {7};
  EXPECT_EQ(*Read(json), (Caller{"sys", "agent", "", "", ""}));
  json["status"]["user"].erase("extra");
  EXPECT_EQ(*Read(json), (Caller{"sys", "agent", "", "", ""}));
}

TEST_F(TokenReviewTest, WhatIsNoReviewMeansTryAgain) {
  for (const char* text : {"", "no", "[]", "{}", R"({"kind":"Status"})"}) {
    EXPECT_TRUE(
        absl::IsUnavailable(ReadTokenReview(text, {"nodeward-ca"}).status()))
        << text;
  }
}

TEST_F(TokenReviewTest, DemandsOurAudienceWhateverTheToken) {
  TokenReview review = Make();
  ASSERT_TRUE(review.Authenticate("a\"b\xff").ok());
  EXPECT_EQ(path_, "/apis/authentication.k8s.io/v1/tokenreviews");
  const auto sent = base::ParseJson(sent_);
  ASSERT_TRUE(sent.ok()) << sent_;
  EXPECT_EQ((*sent)["spec"]["audiences"], Json({"nodeward-ca"}));
  EXPECT_EQ((*sent)["spec"]["token"], "a\"b\xef\xbf\xbd");
  EXPECT_EQ((*sent)["kind"], "TokenReview");
}

TEST_F(TokenReviewTest, GoodIsKeptForAWhileAndBadIsNot) {
  TokenReview review = Make();
  ASSERT_TRUE(review.Authenticate("one").ok());
  ASSERT_TRUE(review.Authenticate("one").ok());
  EXPECT_EQ(asked_, 1);
  now_ += absl::Seconds(10);
  ASSERT_TRUE(review.Authenticate("one").ok());
  EXPECT_EQ(asked_, 2);
  now_ -= absl::Hours(1);  // set back: asked again, not kept for an hour
  ASSERT_TRUE(review.Authenticate("one").ok());
  EXPECT_EQ(asked_, 3);
  answer_ = R"({"status":{"authenticated":false}})";
  EXPECT_FALSE(review.Authenticate("two").ok());
  answer_ = Good().dump();
  EXPECT_TRUE(review.Authenticate("two").ok());
  EXPECT_EQ(asked_, 5);
  EXPECT_TRUE(review.Authenticate("three").ok());  // no room: asked each time
  EXPECT_TRUE(review.Authenticate("three").ok());
  EXPECT_EQ(asked_, 7);
}

TEST_F(TokenReviewTest, NoAnswerMeansTryAgainAndTellsNothing) {
  TokenReview review = Make();
  for (const long status : {401L, 403L, 429L, 500L, 302L}) {
    status_ = status;
    const base::Status failed = review.Authenticate("t").status();
    EXPECT_TRUE(absl::IsUnavailable(failed)) << status;
    EXPECT_EQ(std::string(failed.message()),
              "authentication token could not be reviewed (try again)");
  }
  down_ = absl::UnavailableError("ask https://api: refused");
  EXPECT_EQ(std::string(review.Authenticate("t").status().message()),
            "authentication token could not be reviewed (try again)");
  EXPECT_TRUE(absl::IsUnauthenticated(
      review.Authenticate(std::string(20000, 'x')).status()));
}

}  // namespace
}  // namespace nodeward::ca
