// SPDX-License-Identifier: Apache-2.0
#include "observe/edges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text.h"
#include "observe/flow_fixture.h"

namespace nodeward::observe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kStart = absl::FromUnixSeconds(1700000000);

class EdgesTest : public ::testing::Test {
 protected:
  // "src.ns>dst.ns reason", a row each; reason √ when it is empty.
  std::vector<std::string> Rows(absl::Time now = kStart,
                                const std::string& name_space = "") {
    std::vector<std::string> rows;
    const base::Json result = edges_.Result(name_space, now);
    for (const base::Json& row : base::GetMember(result, "edges")) {
      const std::string reason = base::GetString(row, "no_tls_reason", "?");
      rows.push_back(base::StrCat(base::GetString(row, "src"), ".",
                                  base::GetString(row, "src_namespace"), ">",
                                  base::GetString(row, "dst"), ".",
                                  base::GetString(row, "dst_namespace"), " ",
                                  reason.empty() ? "√" : reason));
    }
    return rows;
  }
  void OpenAndClose(Flow flow, absl::Time now = kStart) {
    const Outcome outcome = flow.outcome;
    flow.outcome = Outcome::kOpen;
    edges_.Opened(flow, now);
    flow.outcome = outcome;
    edges_.Closed(flow, now);
  }
  Flow Secured() {
    return MakeFlow(++id_, Reporter::kDestination, sleep_, httpbin_);
  }
  Flow Plaintext() { return MakePlaintext(++id_, sleep_, httpbin_); }

  Edges edges_;
  uint64_t id_ = 0;
  std::shared_ptr<const model::Workload> sleep_ = MakeWorkload("full", "sleep");
  std::shared_ptr<const model::Workload> httpbin_ =
      MakeWorkload("mtls-test", "httpbin");
};

TEST_F(EdgesTest, NothingSeenIsNoEdge) { EXPECT_THAT(Rows(), IsEmpty()); }

TEST_F(EdgesTest, VerifiedMutualTlsIsSecured) {
  OpenAndClose(Secured());
  EXPECT_THAT(Rows(), ElementsAre("sleep.full>httpbin.mtls-test √"));
  const base::Json result = edges_.Result("", kStart);
  const base::Json& row = result["edges"][0];
  EXPECT_EQ(base::GetString(row, "client_id"),
            "spiffe://cluster.local/ns/full/sa/sleep");
  EXPECT_EQ(base::GetString(row, "server_id"),
            "spiffe://cluster.local/ns/mtls-test/sa/httpbin");
}

TEST_F(EdgesTest, AnOpenConnectionCounts) {
  Flow flow = Plaintext();
  flow.outcome = Outcome::kOpen;
  edges_.Opened(flow, kStart);
  EXPECT_THAT(Rows(kStart + absl::Hours(5)),
              ElementsAre("sleep.full>httpbin.mtls-test plaintext"));
}

TEST_F(EdgesTest, OnePlaintextConnectionSpoilsTheEdgeAndSaysHowMany) {
  for (int i = 0; i < 3; ++i) OpenAndClose(Secured());
  for (int i = 0; i < 2; ++i) OpenAndClose(Plaintext());
  EXPECT_THAT(
      Rows(),
      ElementsAre("sleep.full>httpbin.mtls-test mixed: 2 of 5 plaintext"));
  Flow unknown = Secured();
  unknown.security = Security::kUnknown;
  OpenAndClose(unknown);
  EXPECT_THAT(
      Rows(),
      ElementsAre("sleep.full>httpbin.mtls-test mixed: 3 of 6 not secured"));
}

TEST_F(EdgesTest, UnknownIsNeverSecured) {
  Flow flow = Secured();
  flow.security = Security::kUnknown;
  OpenAndClose(flow);
  EXPECT_THAT(Rows(), ElementsAre("sleep.full>httpbin.mtls-test unknown"));
}

TEST_F(EdgesTest, MutualTlsWithoutAVerifiedIdentityIsNotSecured) {
  Flow flow = Secured();
  flow.source_identity.reset();
  OpenAndClose(flow);
  EXPECT_THAT(
      Rows(),
      ElementsAre("sleep.full>httpbin.mtls-test identity not verified"));
}

TEST_F(EdgesTest, AnotherIdentityThanTheWorkloadsIsNotSecured) {
  Flow flow = Secured();
  model::Identity other = *flow.source_identity;
  other.service_account = "somebody";
  flow.source_identity = std::make_shared<const model::Identity>(other);
  OpenAndClose(flow);
  EXPECT_THAT(Rows(),
              ElementsAre("sleep.full>httpbin.mtls-test identity mismatch"));
}

TEST_F(EdgesTest, AnAliasOfTheTrustDomainIsTheSameWorkload) {
  Flow flow = Secured();
  model::Identity alias = *flow.source_identity;
  alias.trust_domain = "old.example.org";
  flow.source_identity = std::make_shared<const model::Identity>(alias);
  OpenAndClose(flow);
  EXPECT_THAT(Rows(), ElementsAre("sleep.full>httpbin.mtls-test √"));
}

TEST_F(EdgesTest, TheApplicationsOwnTlsIsNotOurs) {
  Flow flow = Plaintext();
  flow.security = Security::kPassthroughTls;
  OpenAndClose(flow);
  EXPECT_THAT(Rows(),
              ElementsAre("sleep.full>httpbin.mtls-test application TLS"));
}

TEST_F(EdgesTest, TlsByARuleIsNotMutualTlsOfTheMesh) {
  Flow flow = Plaintext();
  flow.security = Security::kOriginatedTls;
  OpenAndClose(flow);
  EXPECT_THAT(Rows(), ElementsAre("sleep.full>httpbin.mtls-test TLS by "
                                  "DestinationRule"));
}

TEST_F(EdgesTest, TheLastRefusalTellsWhy) {
  Flow flow = Plaintext();
  flow.outcome = Outcome::kNoCredential;
  flow.detail = std::string(1000, 'x');
  edges_.Closed(flow, kStart);
  flow.detail = "no such file";
  edges_.Closed(flow, kStart);
  const base::Json result = edges_.Result("", kStart);
  EXPECT_EQ(base::GetString(result["edges"][0], "last_refusal"),
            "no such file");
  EXPECT_THAT(Rows(), ElementsAre("sleep.full>httpbin.mtls-test refused"));
}

TEST_F(EdgesTest, BothEndsOfOneNodeAreNotAddedUp) {
  OpenAndClose(Secured());
  OpenAndClose(MakeFlow(++id_, Reporter::kSource, sleep_, httpbin_));
  OpenAndClose(Plaintext());
  EXPECT_THAT(
      Rows(),
      ElementsAre("sleep.full>httpbin.mtls-test mixed: 1 of 2 plaintext"));
}

TEST_F(EdgesTest, RefusedShowsOnlyWhereNothingEverPassed) {
  Flow flow = Plaintext();
  flow.outcome = Outcome::kDeniedPlaintext;
  edges_.Closed(flow, kStart);
  EXPECT_THAT(Rows(), ElementsAre("sleep.full>httpbin.mtls-test refused"));
  OpenAndClose(Secured());
  EXPECT_THAT(Rows(), ElementsAre("sleep.full>httpbin.mtls-test √"));
}

TEST_F(EdgesTest, AStrangerThatWasRefusedIsNoEdge) {
  Flow flow = MakePlaintext(1, nullptr, httpbin_);
  flow.outcome = Outcome::kDeniedPlaintext;
  edges_.Closed(flow, kStart);
  EXPECT_THAT(Rows(), IsEmpty());
  OpenAndClose(MakePlaintext(2, nullptr, httpbin_));
  EXPECT_THAT(Rows(),
              ElementsAre("unknown.unknown>httpbin.mtls-test plaintext"));
}

TEST_F(EdgesTest, AConnectionCutByAPolicyHadPassed) {
  Flow flow = Plaintext();
  flow.outcome = Outcome::kPolicyChanged;
  OpenAndClose(flow);
  EXPECT_THAT(Rows(), ElementsAre("sleep.full>httpbin.mtls-test plaintext"));
}

TEST_F(EdgesTest, ClosedConnectionsAreForgottenAfterTheRetention) {
  OpenAndClose(Plaintext(), kStart);
  const absl::Time later = kStart + absl::Minutes(6);
  OpenAndClose(Secured(), later);
  EXPECT_THAT(
      Rows(kStart + absl::Minutes(9)),
      ElementsAre("sleep.full>httpbin.mtls-test mixed: 1 of 2 plaintext"));
  EXPECT_THAT(Rows(kStart + absl::Minutes(12)),
              ElementsAre("sleep.full>httpbin.mtls-test √"));
  EXPECT_THAT(Rows(later + absl::Minutes(12)), IsEmpty());
}

TEST_F(EdgesTest, RowsAreSortedByNamespacesThenNames) {
  const auto a = MakeWorkload("a", "z"), b = MakeWorkload("b", "a");
  OpenAndClose(MakeFlow(++id_, Reporter::kSource, b, a));
  OpenAndClose(MakeFlow(++id_, Reporter::kSource, a, b));
  OpenAndClose(MakeFlow(++id_, Reporter::kSource, a, MakeWorkload("a", "y")));
  OpenAndClose(MakeFlow(++id_, Reporter::kSource, a, MakeWorkload("a", "x")));
  EXPECT_THAT(Rows(),
              ElementsAre("z.a>x.a √", "z.a>y.a √", "z.a>a.b √", "a.b>z.a √"));
}

TEST_F(EdgesTest, ANamespaceKeepsEdgesWithEitherEndInIt) {
  OpenAndClose(Secured());
  OpenAndClose(MakeFlow(++id_, Reporter::kSource, MakeWorkload("c", "c"),
                        MakeWorkload("c", "d")));
  EXPECT_EQ(Rows(kStart, "full").size(), 1u);
  EXPECT_EQ(Rows(kStart, "mtls-test").size(), 1u);
  EXPECT_EQ(Rows(kStart, "c").size(), 1u);
  EXPECT_THAT(Rows(kStart, "none"), IsEmpty());
}

TEST_F(EdgesTest, ALostEndClosesTheFlow) {
  Flow flow = Plaintext();
  edges_.Opened(flow, kStart);
  edges_.Lost(flow.id, kStart);
  edges_.Lost(flow.id, kStart);
  EXPECT_THAT(Rows(), ElementsAre("sleep.full>httpbin.mtls-test plaintext"));
  EXPECT_THAT(Rows(kStart + absl::Minutes(12)), IsEmpty());
}

TEST_F(EdgesTest, TheTableIsBoundedAndSaysSo) {
  for (size_t i = 0; i < Edges::kMaxEdges + 10; ++i) {
    OpenAndClose(MakeFlow(++id_, Reporter::kSource, sleep_,
                          MakeWorkload("many", std::to_string(i))));
  }
  const base::Json result = edges_.Result("", kStart);
  EXPECT_EQ(result["edges"].size(), Edges::kMaxEdges);
  EXPECT_TRUE(base::GetBool(result, "truncated"));
  const absl::Time later = kStart + absl::Minutes(12);
  OpenAndClose(Secured(), later);
  EXPECT_THAT(Rows(later), ElementsAre("sleep.full>httpbin.mtls-test √"));
  EXPECT_FALSE(base::GetBool(edges_.Result("", later), "truncated"));
}

}  // namespace
}  // namespace nodeward::observe
