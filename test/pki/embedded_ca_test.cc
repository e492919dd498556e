// SPDX-License-Identifier: Apache-2.0
#include "pki/embedded_ca.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "pki/chain.h"
#include "pki/command.h"
#include "pki/csr.h"
#include "pki/forge.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;
using testing::Not;

class EmbeddedCaTest : public testing::Test {
 protected:
  std::unique_ptr<EmbeddedCa> Open(EmbeddedCa::Options options = {}) {
    options.folder = folder_ / "ca";
    options.trust_domain = "cluster.local";
    base::StatusOr<std::unique_ptr<EmbeddedCa>> ca =
        EmbeddedCa::Open(std::move(options));
    EXPECT_TRUE(ca.ok()) << ca.status();
    return ca.ok() ? *std::move(ca) : nullptr;
  }
  // The answer, which must have come before Issue returned.
  static base::StatusOr<Issued> Issue(EmbeddedCa& ca,
                                      const model::Identity& identity,
                                      const std::string& csr) {
    base::StatusOr<Issued> answer = absl::InternalError("no answer");
    int answers = 0;
    ca.Issue(identity, csr, [&](base::StatusOr<Issued> issued) {
      answer = std::move(issued);
      ++answers;
    });
    EXPECT_EQ(answers, 1);
    return answer;
  }

  TempFolder folder_;
  const PrivateKey key_ = *PrivateKey::GenerateP256();
};

TEST_F(EmbeddedCaTest, AnotherPairPutThereIsUsed) {
  const auto ca = Open();
  const std::string before = ca->root().SerialHex();
  const auto put = [this](const Root& root) {
    Spill(folder_ / "new.key", *root.key.ToPem());
    std::filesystem::permissions(folder_ / "new.key",
                                 std::filesystem::perms::owner_read);
    std::filesystem::rename(folder_ / "new.key", folder_ / "ca/ca.key");
    Spill(folder_ / "new.crt", root.certificate.ToPem());
    std::filesystem::rename(folder_ / "new.crt", folder_ / "ca/ca.crt");
  };
  const Root next = NewRoot();
  put(next);
  auto issued = Issue(*ca, Id("a"), *MakeCsr(key_, Id("a")));
  ASSERT_TRUE(issued.ok()) << issued.status();
  EXPECT_EQ(issued->roots[0].SerialHex(), next.certificate.SerialHex());
  EXPECT_TRUE(CheckIssued(*issued, Id("a"), key_, absl::Now()).ok());
  // A pair that does not match, or none: the former stays.
  Spill(folder_ / "ca/ca.crt", NewRoot().certificate.ToPem());
  issued = Issue(*ca, Id("a"), *MakeCsr(key_, Id("a")));
  ASSERT_TRUE(issued.ok()) << issued.status();
  EXPECT_EQ(issued->roots[0].SerialHex(), next.certificate.SerialHex());
  std::filesystem::remove_all(folder_ / "ca");
  EXPECT_TRUE(Issue(*ca, Id("a"), *MakeCsr(key_, Id("a"))).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "ca/ca.crt"))
      << "no root is made anew behind the operator's back";
  EXPECT_NE(ca->root().SerialHex(), before);
}

TEST_F(EmbeddedCaTest, LeafIsWhatUsersExpectToSee) {
  const auto ca = Open();
  const auto issued = Issue(*ca, Id("default"), *MakeCsr(key_, Id("default")));
  ASSERT_TRUE(issued.ok()) << issued.status();
  ASSERT_EQ(issued->chain.size(), 1u);
  const std::string leaf = Spill(folder_ / "leaf", issued->chain[0].ToPem());
  const std::string text =
      RunCommand("openssl x509 -text -noout -in " + leaf).output;
  EXPECT_THAT(text, HasSubstr("Version: 3 (0x2)\n"));
  EXPECT_THAT(text, HasSubstr("Issuer: O = cluster.local\n"));
  EXPECT_THAT(text, HasSubstr("Subject: \n"));
  EXPECT_THAT(text, HasSubstr("Public-Key: (256 bit)"));
  EXPECT_THAT(text, HasSubstr("X509v3 Key Usage: critical\n                "
                              "Digital Signature, Key Encipherment\n"));
  EXPECT_THAT(text,
              HasSubstr("X509v3 Extended Key Usage: \n                TLS Web "
                        "Server Authentication, TLS Web Client "
                        "Authentication\n"));
  EXPECT_THAT(text, HasSubstr("X509v3 Basic Constraints: critical\n"
                              "                CA:FALSE\n"));
  EXPECT_THAT(text, HasSubstr("X509v3 Subject Alternative Name: critical\n"
                              "                "
                              "URI:spiffe://cluster.local/ns/full/sa/default"
                              "\n"));
  EXPECT_THAT(text, HasSubstr("X509v3 Subject Key Identifier"));
  EXPECT_THAT(text, HasSubstr("X509v3 Authority Key Identifier"));
}

TEST_F(EmbeddedCaTest, LeafVerifiesForServersAndClients) {
  const auto ca = Open();
  const auto issued = Issue(*ca, Id("a"), *MakeCsr(key_, Id("a")));
  ASSERT_TRUE(issued.ok()) << issued.status();
  const std::string leaf = Spill(folder_ / "leaf", issued->chain[0].ToPem());
  for (const char* purpose : {"sslserver", "sslclient"}) {
    const CommandResult verified = RunCommand(
        "openssl verify -x509_strict -purpose " + std::string(purpose) +
        " -CAfile " + (folder_ / "ca/ca.crt") + " " + leaf);
    EXPECT_EQ(verified.status, 0) << verified.output;
  }
  const base::Status ours = CheckIssued(*issued, Id("a"), key_, absl::Now());
  EXPECT_TRUE(ours.ok()) << ours;
}

TEST_F(EmbeddedCaTest, LeafLastsADayFromTwentySecondsAgo) {
  const absl::Time now = absl::FromUnixSeconds(1'900'000'000);
  const auto ca =
      Open({.folder = {}, .trust_domain = {}, .clock = [now] { return now; }});
  const auto issued = Issue(*ca, Id("a"), *MakeCsr(key_, Id("a")));
  ASSERT_TRUE(issued.ok()) << issued.status();
  EXPECT_EQ(issued->chain[0].not_before(), now - absl::Seconds(20));
  EXPECT_EQ(issued->chain[0].not_after(), now + absl::Hours(24));
  EXPECT_EQ(ca->root().not_after(), now + absl::Hours(87600));
}

TEST_F(EmbeddedCaTest, LeafEndsWithItsRoot) {
  const auto ca =
      Open({.folder = {}, .trust_domain = {}, .root_lifetime = absl::Hours(1)});
  const auto issued = Issue(*ca, Id("a"), *MakeCsr(key_, Id("a")));
  ASSERT_TRUE(issued.ok()) << issued.status();
  EXPECT_EQ(issued->chain[0].not_after(), ca->root().not_after());
}

TEST_F(EmbeddedCaTest, RefusesACsrForSomebodyElse) {
  const auto ca = Open();
  const auto issued = Issue(*ca, Id("a"), *MakeCsr(key_, Id("b")));
  ASSERT_FALSE(issued.ok());
  EXPECT_EQ(std::string(issued.status().message()),
            "issue spiffe://cluster.local/ns/full/sa/a: the CSR names "
            "spiffe://cluster.local/ns/full/sa/b");
}

TEST_F(EmbeddedCaTest, RefusesAnotherTrustDomain) {
  const auto ca = Open();
  const model::Identity foreign = Id("a", "evil.example");
  const auto issued = Issue(*ca, foreign, *MakeCsr(key_, foreign));
  EXPECT_EQ(issued.status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(EmbeddedCaTest, RefusesGarbage) {
  const auto ca = Open();
  EXPECT_FALSE(Issue(*ca, Id("a"), "garbage").ok());
  EXPECT_FALSE(Issue(*ca, Id("a"), "").ok());
}

TEST_F(EmbeddedCaTest, TakesOnlyTheKeyFromTheCsr) {
  const std::string csr =
      RunCommand("openssl req -new -nodes -newkey rsa:2048 -keyout " +
                 (folder_ / "key") +
                 " -subj /CN=admin -addext basicConstraints=CA:TRUE -addext "
                 "keyUsage=keyCertSign -addext "
                 "subjectAltName=URI:spiffe://cluster.local/ns/full/sa/a "
                 "2>/dev/null")
          .output;
  const auto ca = Open();
  const auto issued = Issue(*ca, Id("a"), csr);
  ASSERT_TRUE(issued.ok()) << issued.status();
  const std::string text =
      RunCommand("openssl x509 -text -noout -in " +
                 Spill(folder_ / "leaf", issued->chain[0].ToPem()))
          .output;
  EXPECT_THAT(text, HasSubstr("Subject: \n"));
  EXPECT_THAT(text, HasSubstr("CA:FALSE"));
  EXPECT_THAT(text, Not(HasSubstr("Certificate Sign")));
  EXPECT_THAT(text, HasSubstr("Public-Key: (2048 bit)"));
}

TEST_F(EmbeddedCaTest, TwoOnOneFolderShareTheRoot) {
  const auto first = Open();
  const auto second = Open();
  EXPECT_EQ(first->root().Sha256Hex(), second->root().Sha256Hex());
}

TEST_F(EmbeddedCaTest, RefusesAnExpiredRoot) {
  Open();
  EmbeddedCa::Options later{.folder = folder_ / "ca",
                            .trust_domain = "cluster.local"};
  later.clock = [] { return absl::Now() + absl::Hours(87601); };
  const auto ca = EmbeddedCa::Open(later);
  ASSERT_FALSE(ca.ok());
  EXPECT_THAT(std::string(ca.status().message()), HasSubstr("expired on"));
  EXPECT_THAT(std::string(ca.status().message()), HasSubstr("move ca.crt"));
}

TEST_F(EmbeddedCaTest, StopsSigningWhenItsRootExpires) {
  absl::Time now = absl::Now();
  const auto ca =
      Open({.folder = {}, .trust_domain = {}, .clock = [&now] { return now; }});
  now += absl::Hours(87600);
  EXPECT_FALSE(Issue(*ca, Id("a"), *MakeCsr(key_, Id("a"))).ok());
}

TEST_F(EmbeddedCaTest, SignsWithAnRsaRootThatAnOperatorBrought) {
  ASSERT_EQ(
      RunCommand("mkdir -m 700 " + (folder_ / "ca") +
                 " && openssl req -x509 -nodes -newkey rsa:2048 -subj "
                 "'/O=Example/CN=Root' -days 10 -keyout " +
                 (folder_ / "ca/ca.key") + " -out " + (folder_ / "ca/ca.crt") +
                 " && chmod 600 " + (folder_ / "ca/ca.key"))
          .status,
      0);
  const auto ca = Open();
  ASSERT_NE(ca, nullptr);
  const auto issued = Issue(*ca, Id("a"), *MakeCsr(key_, Id("a")));
  ASSERT_TRUE(issued.ok()) << issued.status();
  EXPECT_EQ(issued->chain[0].Issuer(), "CN=Root,O=Example");
  const base::Status ours = CheckIssued(*issued, Id("a"), key_, absl::Now());
  EXPECT_TRUE(ours.ok()) << ours;
}

TEST_F(EmbeddedCaTest, SaysWhereItIs) {
  EXPECT_EQ(Open()->Description(), "embedded " + (folder_ / "ca"));
}

}  // namespace
}  // namespace nodeward::pki
