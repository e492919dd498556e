// SPDX-License-Identifier: Apache-2.0
#include "kube/election.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kPath[] =
    "/apis/coordination.k8s.io/v1/namespaces/system/leases/ca";

// The API server's part: one Lease, versions, conflicts.
class Api {
 public:
  HttpClient::Answer Answer(const HttpClient::Request& request) {
    ++asked_;
    if (status_ != 0) return {base::OkStatus(), status_, R"({"message":"no"})"};
    if (request.method == "GET") {
      EXPECT_EQ(request.target, kPath);
      if (lease_.is_null()) return {base::OkStatus(), 404, "{}"};
      return {base::OkStatus(), 200, lease_.dump()};
    }
    base::Json body = *base::ParseJson(request.body);
    const base::Json& metadata = base::GetMember(body, "metadata");
    const std::string version = base::GetString(metadata, "resourceVersion");
    if (request.method == "POST") {
      EXPECT_EQ(request.target + "/ca", kPath);
      EXPECT_EQ(base::GetString(metadata, "name"), "ca");
      if (!lease_.is_null()) return {base::OkStatus(), 409, "{}"};
      return Store(std::move(body), 201);
    }
    EXPECT_EQ(request.method, "PUT");
    if (lease_.is_null()) return {base::OkStatus(), 404, "{}"};
    if (version != base::GetString(base::GetMember(lease_, "metadata"),
                                   "resourceVersion")) {
      return {base::OkStatus(), 409, "{}"};
    }
    return Store(std::move(body), 200);
  }
  HttpClient::Answer Store(base::Json lease, int status) {
    lease["metadata"]["resourceVersion"] = base::StrCat(++version_);
    lease_ = std::move(lease);
    return {base::OkStatus(), status, lease_.dump()};
  }
  std::string Spec(const char* key) const {
    return base::GetString(base::GetMember(lease_, "spec"), key);
  }
  int64_t SpecInt(const char* key) const {
    return base::GetInt(base::GetMember(lease_, "spec"), key, -1);
  }

  base::Json lease_;
  int version_ = 0;
  int status_ = 0;  // what every request is answered; 0: as it should be
  int asked_ = 0;
};

class Candidate {
 public:
  Candidate(Api* api, const std::string& name, absl::Duration start)
      : api_(api),
        election_(
            {.place = "system/ca",
             .identity = name,
             .labels = {{"by", "us"}},
             .clock =
                 [this] { return absl::FromUnixSeconds(1800000000) + due_; }},
            [] { return 0.0; }),
        step_(election_.Begin()),
        due_(start) {}

  // Everything it does until then.
  void Run(absl::Duration until) {
    while (due_ <= until) One();
  }
  void One() {
    const absl::Duration at = due_;
    election_.OnSent(at);
    step_ = election_.OnAnswer(api_->Answer(step_.request), at);
    due_ = at + step_.delay;
  }
  bool Leads(absl::Duration now) const { return election_.Leads(now); }

  Api* const api_;
  Election election_;
  Election::Step step_;
  absl::Duration due_;
};

absl::Duration At(int64_t seconds) { return absl::Seconds(seconds); }

TEST(ElectionTest, TheFirstOneMakesTheLeaseAndLeads) {
  Api api;
  Candidate a(&api, "a", At(0));
  EXPECT_FALSE(a.Leads(At(0)));
  a.Run(At(0));
  EXPECT_TRUE(a.Leads(At(0)));
  EXPECT_EQ(api.Spec("holderIdentity"), "a");
  EXPECT_EQ(api.SpecInt("leaseDurationSeconds"), 15);
  EXPECT_EQ(api.SpecInt("leaseTransitions"), 0);
  EXPECT_EQ(api.Spec("acquireTime"), "2027-01-15T08:00:00.000000Z");
  EXPECT_EQ(a.election_.holder(), "a");
  EXPECT_EQ(api.lease_["metadata"]["labels"],
            base::Json::object({{"by", "us"}}));
  a.Run(At(100));
  EXPECT_TRUE(a.Leads(At(100)));
  EXPECT_EQ(api.Spec("acquireTime"), "2027-01-15T08:00:00.000000Z");
  EXPECT_EQ(api.Spec("renewTime"), "2027-01-15T08:01:40.000000Z");
  // One request a renewal.
  EXPECT_EQ(api.asked_, 2 + 50);
}

TEST(ElectionTest, ASecondOneWaitsUntilTheFirstIsSilent) {
  Api api;
  Candidate a(&api, "a", At(0));
  Candidate b(&api, "b", At(1));
  for (int64_t now = 0; now <= 60; ++now) {
    a.Run(At(now));
    b.Run(At(now));
    ASSERT_TRUE(a.Leads(At(now)));
    ASSERT_FALSE(b.Leads(At(now)));
  }
  EXPECT_EQ(b.election_.holder(), "a");
  // The first is dead from now on; no sooner than the Lease says, and not when
  // the first could still believe that it leads.
  int64_t taken = 0;
  for (int64_t now = 61; now <= 120 && taken == 0; ++now) {
    b.Run(At(now));
    if (b.Leads(At(now))) taken = now;
  }
  EXPECT_GT(taken, 60 + 15);
  EXPECT_LE(taken, 60 + 15 + 5);
  EXPECT_FALSE(a.Leads(At(taken)));
  EXPECT_EQ(api.Spec("holderIdentity"), "b");
  EXPECT_EQ(api.SpecInt("leaseTransitions"), 1);
}

TEST(ElectionTest, TheOwnClockCountsAndNotTheLeases) {
  Api api;
  api.Store(*base::ParseJson(
                R"({"metadata":{"name":"ca"},"spec":{"holderIdentity":"x",)"
                R"("leaseDurationSeconds":40,)"
                R"("renewTime":"2001-01-01T00:00:00.000000Z"}})"),
            201);
  Candidate a(&api, "a", At(0));
  a.Run(At(39));
  EXPECT_FALSE(a.Leads(At(39)));
  a.Run(At(44));
  EXPECT_TRUE(a.Leads(At(44)));
}

TEST(ElectionTest, OfTwoAtOnceOneGetsIt) {
  Api api;
  Candidate a(&api, "a", At(0));
  Candidate b(&api, "b", At(0));
  a.One();  // both find none
  b.One();
  a.One();
  b.One();
  EXPECT_TRUE(a.Leads(At(0)));
  EXPECT_FALSE(b.Leads(At(0)));
  EXPECT_THAT(b.election_.problem(), IsEmpty());
  // The same with one that is there and free.
  api.lease_["spec"]["holderIdentity"] = "";
  Candidate c(&api, "c", At(20));
  Candidate d(&api, "d", At(20));
  c.One();
  d.One();
  d.One();
  c.One();
  EXPECT_TRUE(d.Leads(At(20)));
  EXPECT_FALSE(c.Leads(At(20)));
}

TEST(ElectionTest, ALeaderThatCannotRenewEndsInTime) {
  Api api;
  Candidate a(&api, "a", At(0));
  a.Run(At(0));
  api.status_ = 500;
  a.Run(At(9));
  EXPECT_TRUE(a.Leads(At(9)));
  EXPECT_FALSE(a.Leads(At(10)));
  EXPECT_EQ(a.election_.LeadsUntil(), At(10));
  a.Run(At(12));
  EXPECT_FALSE(a.Leads(At(12)));
  EXPECT_EQ(a.election_.problem(), "lead by Lease system/ca: HTTP 500 no");
  api.status_ = 0;
  a.Run(At(20));
  EXPECT_TRUE(a.Leads(At(20)));
  EXPECT_THAT(a.election_.problem(), IsEmpty());
}

TEST(ElectionTest, ALeaderThatSeesAnotherEndsAtOnce) {
  Api api;
  Candidate a(&api, "a", At(0));
  a.Run(At(0));
  base::Json other = api.lease_;
  other["spec"]["holderIdentity"] = "b";
  api.Store(other, 200);
  a.Run(At(4));  // a conflict, then a look
  EXPECT_FALSE(a.Leads(At(4)));
  EXPECT_EQ(api.Spec("holderIdentity"), "b");
}

TEST(ElectionTest, WhatIsGivenBackIsTakenAtTheNextLook) {
  Api api;
  Candidate a(&api, "a", At(0));
  a.Run(At(0));
  Candidate b(&api, "b", At(0));
  b.Run(At(0));
  EXPECT_EQ(api.Answer(a.election_.Resign()).status, 200);
  EXPECT_FALSE(a.Leads(At(1)));
  EXPECT_EQ(api.Spec("holderIdentity"), "");
  EXPECT_EQ(api.SpecInt("leaseDurationSeconds"), 1);
  b.Run(At(2));
  EXPECT_TRUE(b.Leads(At(2)));
  EXPECT_EQ(api.SpecInt("leaseTransitions"), 1);
}

TEST(ElectionTest, WhatOthersWroteThereStays) {
  Api api;
  api.Store(
      *base::ParseJson(R"({"metadata":{"name":"ca","annotations":{"k":"v"}},)"
                       R"("spec":{"strategy":"s"}})"),
      201);
  Candidate a(&api, "a", At(0));
  a.Run(At(10));
  EXPECT_TRUE(a.Leads(At(10)));
  EXPECT_EQ(api.lease_["metadata"]["annotations"]["k"], "v");
  EXPECT_EQ(api.Spec("strategy"), "s");
}

TEST(ElectionTest, ADeletedLeaseIsMadeAnew) {
  Api api;
  Candidate a(&api, "a", At(0));
  a.Run(At(4));
  api.lease_ = nullptr;
  a.Run(At(8));
  EXPECT_TRUE(a.Leads(At(8)));
  EXPECT_EQ(api.Spec("holderIdentity"), "a");
}

TEST(ElectionTest, ARefusalSaysWhatIsMissing) {
  Api api;
  api.status_ = 403;
  Candidate a(&api, "a", At(0));
  a.Run(At(0));
  EXPECT_THAT(a.election_.problem(),
              HasSubstr("HTTP 403 no (may our ServiceAccount get, create"));
}

}  // namespace
}  // namespace nodeward::kube
