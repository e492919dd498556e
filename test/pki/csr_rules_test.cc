// SPDX-License-Identifier: Apache-2.0
#include "pki/csr_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "pki/command.h"
#include "pki/forge.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;

class CsrRulesTest : public testing::Test {
 protected:
  // A request by openssl: `subject` as in -subj, `extensions` as in its
  // configuration.
  base::Status Check(const std::string& subject,
                     const std::string& extensions) {
    Spill(folder_ / "cnf",
          "[req]\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\n[ext]\n" +
              extensions + "\n");
    const CommandResult made = RunCommand(
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        "-keyout /dev/null -subj '" +
        subject + "' -config " + (folder_ / "cnf") + " -out " +
        (folder_ / "csr"));
    EXPECT_EQ(made.status, 0) << made.output;
    const auto csr = Csr::ParsePem(Slurp(folder_ / "csr"));
    if (!csr.ok()) return csr.status();
    return CheckRequest(*csr, Id("a"));
  }
  void ExpectRefused(const std::string& subject, const std::string& extensions,
                     const std::string& why) {
    const base::Status status = Check(subject, extensions);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << why;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }

  const std::string name_ =
      "subjectAltName=critical,URI:spiffe://cluster.local/ns/full/sa/a";
  TempFolder folder_;
};

TEST_F(CsrRulesTest, OursPasses) {
  const PrivateKey key = *PrivateKey::GenerateP256();
  const auto csr = Csr::ParsePem(*MakeCsr(key, Id("a")));
  ASSERT_TRUE(csr.ok());
  EXPECT_TRUE(CheckRequest(*csr, Id("a")).ok());
  EXPECT_EQ(std::string(CheckRequest(*csr, Id("b")).message()),
            "CSR name does not match requested identity: "
            "csr=spiffe://cluster.local/ns/full/sa/a; "
            "req=spiffe://cluster.local/ns/full/sa/b");
}

TEST_F(CsrRulesTest, WhatOtherAgentsSendPasses) {
  for (const char* subject :
       {"/", "/O=", "/CN=spiffe:\\/\\/cluster.local\\/ns\\/full\\/sa\\/a"}) {
    EXPECT_TRUE(Check(subject, name_).ok())
        << subject << ": " << Check(subject, name_);
  }
  const base::Status status =
      Check("/", name_ +
                     "\nkeyUsage=critical,digitalSignature,keyEncipherment\n"
                     "extendedKeyUsage=serverAuth,clientAuth\n"
                     "basicConstraints=critical,CA:FALSE");
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(CsrRulesTest, MoreThanTheIdentityIsRefused) {
  ExpectRefused("/CN=admin", name_, "invalid CommonName: admin");
  ExpectRefused("/emailAddress=a@b.c", name_, "CSR subject must be empty");
  ExpectRefused("/", name_ + ",DNS:a.b", "cannot validate DNS names");
  ExpectRefused("/", name_ + ",IP:1.2.3.4", "cannot validate IP addresses");
  ExpectRefused("/", name_ + ",email:a@b.c", "cannot validate email addresses");
  ExpectRefused("/", name_ + ",URI:spiffe://cluster.local/ns/full/sa/b",
                "CSR must have exactly one URI");
  ExpectRefused("/", name_ + ",RID:1.2.3", "names other than URIs");
  ExpectRefused("/", name_ + "\nbasicConstraints=CA:TRUE",
                "CSR must not ask for a CA");
  ExpectRefused("/", name_ + "\nkeyUsage=keyCertSign", "CSR key usage");
  ExpectRefused("/", name_ + "\nextendedKeyUsage=codeSigning",
                "CSR extended key usage");
  ExpectRefused("/", name_ + "\n1.2.3.4=ASN1:NULL",
                "CSR extension not allowed: 1.2.3.4");
}

TEST_F(CsrRulesTest, LessThanTheIdentityIsRefused) {
  ExpectRefused("/", "keyUsage=digitalSignature",
                "CSR must have exactly one URI");
}

// Whatever a request is turned into, it is refused or it still asks for the
// identity and no more; the sanitizers look on.
TEST_F(CsrRulesTest, MutationsNeverGetMore) {
  const PrivateKey key = *PrivateKey::GenerateP256();
  const std::string good = *MakeCsr(key, Id("a"));
  std::mt19937 random(20240607);
  int parsed = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < changes; ++i) {
      const size_t at = random() % bad.size();
      switch (random() % 4) {
        case 0:
          bad[at] = static_cast<char>(random());
          break;
        case 1:
          bad.erase(at, 1 + random() % 40);
          break;
        case 2:
          bad.insert(at, bad.substr(random() % bad.size(), random() % 40));
          break;
        default:
          bad[at] = good[random() % good.size()];
      }
      if (bad.empty()) break;
    }
    const auto csr = Csr::ParsePem(bad);
    if (!csr.ok()) continue;
    ++parsed;
    EXPECT_TRUE(CheckRequest(*csr, Id("a")).ok());
    EXPECT_FALSE(CheckRequest(*csr, Id("b")).ok());
  }
  // Only changes outside the signed bytes leave the signature right.
  EXPECT_LT(parsed, 4000);
}

}  // namespace
}  // namespace nodeward::pki
