// SPDX-License-Identifier: Apache-2.0
#include "identity/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "pki/forge.h"
#include "pki/revoke.h"

namespace nodeward::identity {
namespace {

using Result = model::Check::Result;
using pki::Id;
using testing::ElementsAre;
using testing::HasSubstr;

class CheckTest : public testing::Test {
 protected:
  CheckTest() {
    input.now = absl::Now();
    input.bundle = pki::NewBundle(root);
    input.credentials = {pki::NewCredential(root, Id("a"))};
    CertificateStatus status;
    status.identity = Id("a");
    status.state = CertificateState::kValid;
    status.not_before = input.now - absl::Seconds(20);
    status.received = input.now;
    input.certificates = {status};
  }
  // The lines that are not √, as "× description: error".
  static std::vector<std::string> Complaints(
      const model::CheckCategory& category) {
    std::vector<std::string> all;
    for (const model::Check& each : category.checks) {
      if (each.result == Result::kSuccess) continue;
      EXPECT_NE(each.hint, "") << each.description;
      all.push_back((each.result == Result::kError ? "× " : "‼ ") +
                    each.description + ": " + each.error);
    }
    return all;
  }
  // Anchored in a root that is valid for so long.
  void UseRoot(absl::Time from, absl::Time to) {
    const pki::Root other = *pki::MakeRoot("cluster.local", {from, to});
    input.bundle = pki::NewBundle(other);
    input.credentials = {pki::NewCredential(other, Id("a"))};
  }

  const pki::Root root = pki::NewRoot();
  CheckInput input;
};

TEST_F(CheckTest, EightLinesInLinkerdsWords) {
  const model::CheckCategory category = CheckIdentity(input);
  EXPECT_EQ(category.name, "nodeward-identity");
  std::vector<std::string> lines;
  for (const model::Check& each : category.checks) {
    EXPECT_EQ(each.result, Result::kSuccess) << each.error;
    lines.push_back(each.description);
  }
  EXPECT_THAT(lines,
              ElementsAre("certificate config is valid",
                          "trust anchors are using supported crypto algorithm",
                          "trust anchors are within their validity period",
                          "trust anchors are valid for at least 60 days",
                          "issuer cert is using supported crypto algorithm",
                          "issuer cert is within its validity period",
                          "issuer cert is valid for at least 60 days",
                          "issuer cert is issued by the trust anchor"));
  const model::CheckCategory plane = CheckDataPlane(input);
  EXPECT_EQ(plane.name, "nodeward-identity-data-plane");
  EXPECT_EQ(plane.checks[0].description,
            "data plane proxies certificate match CA");
  EXPECT_THAT(Complaints(plane), ElementsAre());
}

TEST_F(CheckTest, WithoutABundleTheFirstLineEndsIt) {
  input.bundle = nullptr;
  input.trust_problems = {"/etc/roots.pem: open: no such file"};
  const model::CheckCategory category = CheckIdentity(input);
  EXPECT_EQ(category.checks.size(), 1);
  EXPECT_THAT(Complaints(category), ElementsAre(HasSubstr("/etc/roots.pem")));
}

TEST_F(CheckTest, AnchorsThatEnd) {
  UseRoot(input.now - absl::Hours(2), input.now + absl::Hours(24 * 30));
  EXPECT_THAT(Complaints(CheckIdentity(input)),
              ElementsAre(HasSubstr("‼ trust anchors are valid for at least"),
                          HasSubstr("‼ issuer cert is valid for at least")));
  UseRoot(input.now - absl::Hours(2), input.now - absl::Hours(1));
  const model::CheckCategory category = CheckIdentity(input);
  EXPECT_EQ(category.checks.size(), 3) << "the others rest on it";
  EXPECT_THAT(Complaints(category),
              ElementsAre(HasSubstr("not valid anymore. Expired on")));
  UseRoot(input.now + absl::Hours(1), input.now + absl::Hours(2));
  EXPECT_THAT(Complaints(CheckIdentity(input)),
              ElementsAre(HasSubstr("not valid before: ")));
}

TEST_F(CheckTest, WeakAlgorithms) {
  EVP_PKEY* weak = EVP_RSA_gen(1024);
  X509* cert = X509_new();
  X509_set_version(cert, X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  X509_set_pubkey(cert, weak);
  X509_sign(cert, weak, EVP_sha256());
  auto bundle = std::make_shared<pki::TrustBundle>(*input.bundle);
  bundle->roots.push_back(pki::Certificate::FromNative(cert));
  X509_free(cert);
  EVP_PKEY_free(weak);
  input.bundle = bundle;
  EXPECT_THAT(Complaints(CheckIdentity(input)),
              ElementsAre(HasSubstr("× trust anchors are using supported")));
}

TEST_F(CheckTest, AnIntermediateIssuer) {
  const pki::Root between = pki::Intermediate(root);
  pki::PrivateKey key = *pki::PrivateKey::GenerateP256();
  pki::Certificate leaf = *pki::SignLeaf(
      between, key.native(), Id("a"),
      {input.now - absl::Minutes(1), input.now + absl::Minutes(30)});
  input.credentials = {std::make_shared<const pki::Credential>(pki::Credential{
      Id("a"), {std::move(leaf), between.certificate}, std::move(key), 1})};
  // It is good for a day.
  EXPECT_THAT(Complaints(CheckIdentity(input)),
              ElementsAre(HasSubstr("‼ issuer cert is valid for at least")));
  input.bundle = pki::NewBundle(pki::NewRoot());
  EXPECT_THAT(
      Complaints(CheckIdentity(input)),
      ElementsAre(HasSubstr("‼ issuer cert is valid"),
                  HasSubstr("× issuer cert is issued by the trust anchor")));
}

// The certificate in use, not what somebody wrote down somewhere.
TEST_F(CheckTest, ACertificateThatLeadsNowhere) {
  input.bundle = pki::NewBundle(pki::NewRoot());
  EXPECT_THAT(Complaints(CheckIdentity(input)),
              ElementsAre(HasSubstr("issued by the trust anchor")));
  EXPECT_THAT(
      Complaints(CheckDataPlane(input)),
      ElementsAre(HasSubstr("‼ data plane proxies certificate match CA")));
}

TEST_F(CheckTest, ACertificateThatIsLate) {
  input.credentials = {
      pki::ForgedCredential(root, Id("a"),
                            {.names = "critical,URI:" + Id("a").ToSpiffe(),
                             .not_before = input.now - absl::Hours(8),
                             .not_after = input.now + absl::Hours(1)})};
  EXPECT_THAT(Complaints(CheckDataPlane(input)),
              ElementsAre(HasSubstr("‼ data plane certificates are renewed")));
  input.credentials.clear();
  input.certificates[0].state = CertificateState::kExpired;
  input.certificates[0].error = "the CA is away";
  EXPECT_THAT(Complaints(CheckDataPlane(input)),
              ElementsAre(HasSubstr("the CA is away")));
}

TEST_F(CheckTest, ClocksThatDiffer) {
  input.certificates[0].not_before = input.now + absl::Seconds(3);
  EXPECT_THAT(Complaints(CheckDataPlane(input)),
              ElementsAre(HasSubstr("‼ no clock skew")));
  input.certificates[0].not_before = input.now - absl::Minutes(6);
  EXPECT_THAT(Complaints(CheckDataPlane(input)),
              ElementsAre(HasSubstr("‼ no clock skew")));
}

}  // namespace
}  // namespace nodeward::identity
