// SPDX-License-Identifier: Apache-2.0
#include "pki/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "pki/chain.h"
#include "pki/command.h"
#include "pki/forge.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kCa[] = "critical,CA:TRUE";
constexpr char kSigns[] = "critical,keyCertSign,cRLSign";

class AuthorityTest : public testing::Test {
 protected:
  Forgery Issuer() const {
    return {.basic_constraints = kCa,
            .key_usage = kSigns,
            .extended_key_usage = "",
            .organization = "issuer",
            .not_before = now_ - absl::Hours(1),
            .not_after = now_ + absl::Hours(48)};
  }
  base::StatusOr<std::shared_ptr<const Authority>> Create(
      const Forgery& forgery) {
    PrivateKey key = *PrivateKey::GenerateP256();
    Certificate signer = Forge(root_, key, forgery);
    return Authority::Create({.certificates = {signer},
                              .key = std::move(key),
                              .roots = {root_.certificate},
                              .source = "here",
                              .warnings = {}},
                             "cluster.local", now_);
  }
  std::string Failure(const Forgery& forgery) {
    const auto made = Create(forgery);
    return made.ok() ? "it was taken" : std::string(made.status().message());
  }

  const absl::Time now_ =
      absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  const Root root_ = NewRoot();
  TempFolder folder_;
};

TEST_F(AuthorityTest, IssuesWithTheIntermediateAndClampsToItsEnd) {
  const auto authority = Create(Issuer());
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_EQ((*authority)->not_after(), now_ + absl::Hours(48));
  const PrivateKey key = *PrivateKey::GenerateP256();
  const auto issued = (*authority)
                          ->Issue(Id("a"), key.native(),
                                  {.not_before = now_ - absl::Seconds(20),
                                   .not_after = now_ + absl::Hours(72)},
                                  now_);
  ASSERT_TRUE(issued.ok()) << issued.status();
  ASSERT_EQ(issued->chain.size(), 2u);
  EXPECT_EQ(issued->chain[0].not_before(), now_ - absl::Seconds(20));
  EXPECT_EQ(issued->chain[0].not_after(), now_ + absl::Hours(48));
  EXPECT_EQ(issued->chain[1].Subject(), "O=issuer");
  EXPECT_TRUE(CheckIssued(*issued, Id("a"), key, now_).ok());
}

TEST_F(AuthorityTest, RootThatEndsFirstIsTheEnd) {
  Forgery issuer = Issuer();
  issuer.not_after = now_ + absl::Hours(24 * 365 * 20);  // the root has 10
  const auto authority = Create(issuer);
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_EQ((*authority)->not_after(), root_.certificate.not_after());
}

TEST_F(AuthorityTest, ExpiredChainIssuesNothing) {
  const auto authority = Create(Issuer());
  ASSERT_TRUE(authority.ok());
  const PrivateKey key = *PrivateKey::GenerateP256();
  const absl::Time later = now_ + absl::Hours(48);
  const auto issued =
      (*authority)
          ->Issue(Id("a"), key.native(),
                  {.not_before = later, .not_after = later}, later);
  EXPECT_EQ(issued.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(AuthorityTest, WhatIsNoIssuerIsRefused) {
  Forgery forgery = Issuer();
  forgery.basic_constraints = "critical,CA:FALSE";
  EXPECT_THAT(Failure(forgery), HasSubstr("not a CA's"));
  forgery = Issuer();
  forgery.key_usage = "critical,digitalSignature";
  EXPECT_THAT(Failure(forgery), HasSubstr("not a CA's"));
  forgery = Issuer();
  forgery.not_before = now_ + absl::Hours(1);
  EXPECT_THAT(Failure(forgery),
              HasSubstr("issuer certificate is not valid before: "));
  forgery = Issuer();
  forgery.not_after = now_ - absl::Seconds(1);
  EXPECT_THAT(Failure(forgery),
              HasSubstr("issuer certificate not valid anymore. Expired on "));
  // Its leaves could be servers, never clients.
  forgery = Issuer();
  forgery.extended_key_usage = "serverAuth";
  EXPECT_THAT(Failure(forgery), Not(HasSubstr("it was taken")));
}

TEST_F(AuthorityTest, LimitsAboveTheIssuerCount) {
  const absl::Time from = now_ - absl::Hours(1), to = now_ + absl::Hours(9);
  const auto middle =
      MakeIntermediate(root_, "cluster.local", "middle", {from, to});
  ASSERT_TRUE(middle.ok()) << middle.status();
  const auto low =
      MakeIntermediate(*middle, "cluster.local", "too low", {from, to});
  ASSERT_TRUE(low.ok()) << low.status();
  const auto made = Authority::Create(
      {.certificates = {low->certificate, middle->certificate},
       .key = *PrivateKey::ParsePem(*low->key.ToPem()),
       .roots = {root_.certificate},
       .source = "here",
       .warnings = {}},
      "cluster.local", now_);
  EXPECT_THAT(std::string(made.status().message()),
              HasSubstr("path length constraint exceeded"));
}

TEST_F(AuthorityTest, KeyOfAnotherAndRootOfAnotherAreRefused) {
  const Root other = NewRoot();
  const auto stranger = Authority::Create({.certificates = {root_.certificate},
                                           .key = *PrivateKey::GenerateP256(),
                                           .roots = {root_.certificate},
                                           .source = "",
                                           .warnings = {}},
                                          "cluster.local", now_);
  EXPECT_THAT(std::string(stranger.status().message()),
              HasSubstr("do not belong together"));
  const auto homeless =
      Authority::Create({.certificates = {root_.certificate},
                         .key = *PrivateKey::ParsePem(*root_.key.ToPem()),
                         .roots = {other.certificate},
                         .source = "",
                         .warnings = {}},
                        "cluster.local", now_);
  EXPECT_THAT(std::string(homeless.status().message()),
              HasSubstr("issuer cert is not issued by the trust anchor: "));
}

TEST_F(AuthorityTest, ServerCertificateHasNamesAndNoIdentity) {
  const auto authority = Create(Issuer());
  ASSERT_TRUE(authority.ok());
  const PrivateKey key = *PrivateKey::GenerateP256();
  const auto issued =
      (*authority)
          ->IssueServer(
              {.dns = {"ca.example"},
               .addresses = {*base::IpAddress::Parse("10.0.0.1"),
                             *base::IpAddress::Parse("fd00::1")}},
              key.native(),
              {.not_before = now_, .not_after = now_ + absl::Hours(1)}, now_);
  ASSERT_TRUE(issued.ok()) << issued.status();
  EXPECT_FALSE(issued->chain[0].SpiffeId().ok());
  const std::string leaf = Spill(folder_ / "leaf", issued->chain[0].ToPem());
  const std::string text =
      RunCommand("openssl x509 -noout -text -in " + leaf).output;
  EXPECT_THAT(text, HasSubstr("DNS:ca.example, IP Address:10.0.0.1, "
                              "IP Address:FD00:0:0:0:0:0:0:1\n"));
  EXPECT_THAT(text, HasSubstr("TLS Web Server Authentication\n"));
  const std::string verify =
      "openssl verify -CAfile " +
      Spill(folder_ / "root", root_.certificate.ToPem()) + " -untrusted " +
      Spill(folder_ / "issuer", issued->chain[1].ToPem());
  EXPECT_EQ(RunCommand(verify + " -purpose sslserver " + leaf).status, 0);
  EXPECT_NE(RunCommand(verify + " -purpose sslclient " + leaf).status, 0);
}

TEST_F(AuthorityTest, ServerNeedsAProperName) {
  const auto authority = Create(Issuer());
  ASSERT_TRUE(authority.ok());
  const PrivateKey key = *PrivateKey::GenerateP256();
  const Validity validity{now_, now_ + absl::Hours(1)};
  EXPECT_FALSE(
      (*authority)->IssueServer({}, key.native(), validity, now_).ok());
  EXPECT_FALSE((*authority)
                   ->IssueServer({.dns = {"a,b"}, .addresses = {}},
                                 key.native(), validity, now_)
                   .ok());
}

}  // namespace
}  // namespace nodeward::pki
