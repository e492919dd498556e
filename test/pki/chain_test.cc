// SPDX-License-Identifier: Apache-2.0
#include "pki/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pki/forge.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;

constexpr char kName[] = "critical,URI:spiffe://cluster.local/ns/full/sa/a";

class CheckIssuedTest : public testing::Test {
 protected:
  base::Status Check(const Certificate& leaf, const Root& trusted,
                     absl::Time now = absl::Now()) {
    return CheckIssued({.chain = {leaf}, .roots = {trusted.certificate}},
                       Id("a"), key_, now);
  }
  std::string Refusal(const Forgery& forgery) {
    const base::Status status = Check(Forge(root_, key_, forgery), root_);
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  }

  const Root root_ = NewRoot();
  const PrivateKey key_ = *PrivateKey::GenerateP256();
};

TEST_F(CheckIssuedTest, TakesWhatWasAskedFor) {
  const base::Status status =
      Check(Forge(root_, key_, {.names = kName}), root_);
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(CheckIssuedTest, TakesAChainThroughAnIntermediate) {
  const PrivateKey middle_key = *PrivateKey::GenerateP256();
  const Certificate middle = Forge(root_, middle_key,
                                   {.basic_constraints = "critical,CA:TRUE",
                                    .key_usage = "critical,keyCertSign",
                                    .extended_key_usage = "",
                                    .organization = "middle"});
  Root signer{middle, *PrivateKey::ParsePem(*middle_key.ToPem())};
  const Certificate leaf = Forge(signer, key_, {.names = kName});
  EXPECT_TRUE(
      CheckIssued({.chain = {leaf, middle}, .roots = {root_.certificate}},
                  Id("a"), key_, absl::Now())
          .ok());
  EXPECT_FALSE(CheckIssued({.chain = {leaf}, .roots = {root_.certificate}},
                           Id("a"), key_, absl::Now())
                   .ok());
}

TEST_F(CheckIssuedTest, RefusesAnotherKey) {
  const base::Status status = CheckIssued(
      {.chain = {Forge(root_, *PrivateKey::GenerateP256(), {.names = kName})},
       .roots = {root_.certificate}},
      Id("a"), key_, absl::Now());
  EXPECT_THAT(std::string(status.message()), HasSubstr("another key"));
}

TEST_F(CheckIssuedTest, RefusesAnotherIdentity) {
  EXPECT_THAT(Refusal({.names = "URI:spiffe://cluster.local/ns/full/sa/b"}),
              HasSubstr("spiffe://cluster.local/ns/full/sa/a was asked for"));
}

TEST_F(CheckIssuedTest, RefusesAnotherRoot) {
  const base::Status status =
      Check(Forge(root_, key_, {.names = kName}), NewRoot("evil.example"));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("signed by \"O=cluster.local\", which is not among"));
}

TEST_F(CheckIssuedTest, RefusesExpiredAndFutureOnesByTheGivenClock) {
  const Certificate leaf = Forge(root_, key_, {.names = kName});
  const base::Status late = Check(leaf, root_, absl::Now() + absl::Hours(2));
  EXPECT_THAT(std::string(late.message()), HasSubstr("expired on 2"));
  const base::Status early = Check(leaf, root_, absl::Now() - absl::Hours(2));
  EXPECT_THAT(std::string(early.message()), HasSubstr("not valid before 2"));
}

TEST_F(CheckIssuedTest, RefusesCasAndSigners) {
  EXPECT_THAT(Refusal({.names = kName, .basic_constraints = "CA:TRUE"}),
              HasSubstr("a CA's certificate"));
  EXPECT_THAT(
      Refusal({.names = kName, .key_usage = "digitalSignature,cRLSign"}),
      HasSubstr("key usage"));
}

TEST_F(CheckIssuedTest, RefusesOneThatIsNotForClients) {
  Refusal({.names = kName, .extended_key_usage = "serverAuth"});
}

TEST_F(CheckIssuedTest, RefusesAnEmptyAnswer) {
  EXPECT_FALSE(CheckIssued({}, Id("a"), key_, absl::Now()).ok());
  EXPECT_FALSE(CheckIssued({.chain = {Forge(root_, key_, {.names = kName})},
                            .roots = {}},
                           Id("a"), key_, absl::Now())
                   .ok());
}

}  // namespace
}  // namespace nodeward::pki
