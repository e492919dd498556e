// SPDX-License-Identifier: Apache-2.0
#include "pki/csr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "pki/command.h"
#include "pki/forge.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string OpensslCsr(const std::string& arguments, const TempFolder& folder) {
  const std::string command =
      "openssl req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
      "-keyout " +
      (folder / "key") + " -subj / " + arguments + " 2>/dev/null";
  return RunCommand(command).output;
}

TEST(MakeCsr, SatisfiesOpenssl) {
  TempFolder folder;
  const PrivateKey key = *PrivateKey::GenerateP256();
  const base::StatusOr<std::string> pem = MakeCsr(key, Id("sleep"));
  ASSERT_TRUE(pem.ok()) << pem.status();
  const CommandResult shown = RunCommand(
      "openssl req -verify -text -noout -in " + Spill(folder / "csr", *pem));
  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(shown.output, HasSubstr("verify OK"));
  EXPECT_THAT(shown.output, HasSubstr("Subject: \n"));
  EXPECT_THAT(shown.output,
              HasSubstr("X509v3 Subject Alternative Name: critical\n"));
  EXPECT_THAT(shown.output,
              HasSubstr("URI:spiffe://cluster.local/ns/full/sa/sleep\n"));
  EXPECT_THAT(*pem, Not(HasSubstr("PRIVATE")));
}

TEST(Csr, ReadsWhatMakeCsrWrote) {
  const PrivateKey key = *PrivateKey::GenerateP256();
  const base::StatusOr<Csr> csr = Csr::ParsePem(*MakeCsr(key, Id("sleep")));
  ASSERT_TRUE(csr.ok()) << csr.status();
  EXPECT_EQ(*csr->SpiffeId(), Id("sleep"));
  EXPECT_EQ(EVP_PKEY_eq(csr->public_key(), key.native()), 1);
}

TEST(Csr, RefusesOtherNamesBesideTheSpiffeId) {
  TempFolder folder;
  for (const char* names :
       {"URI:spiffe://cluster.local/ns/full/sa/a,"
        "URI:spiffe://cluster.local/ns/full/sa/b",
        "URI:spiffe://cluster.local/ns/full/sa/a,DNS:kubernetes.default",
        "DNS:kubernetes.default"}) {
    const base::StatusOr<Csr> csr = Csr::ParsePem(OpensslCsr(
        "-addext 'subjectAltName=" + std::string(names) + "'", folder));
    ASSERT_TRUE(csr.ok()) << csr.status();
    EXPECT_FALSE(csr->SpiffeId().ok()) << names;
  }
}

TEST(Csr, RefusesOneWithoutNames) {
  TempFolder folder;
  const base::StatusOr<Csr> csr = Csr::ParsePem(OpensslCsr("", folder));
  ASSERT_TRUE(csr.ok()) << csr.status();
  EXPECT_FALSE(csr->SpiffeId().ok());
}

TEST(Csr, RefusesASignatureByAnotherKey) {
  // The last base64 characters before the end lie in the signature.
  std::string pem = *MakeCsr(*PrivateKey::GenerateP256(), Id("sleep"));
  const size_t end = pem.find("\n-----END");
  ASSERT_NE(end, std::string::npos);
  char& letter = pem[end - 12];
  letter = letter == 'A' ? 'B' : 'A';
  const base::StatusOr<Csr> csr = Csr::ParsePem(pem);
  ASSERT_FALSE(csr.ok());
  EXPECT_EQ(csr.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Csr, RefusesAWeakKey) {
  TempFolder folder;
  const std::string pem =
      RunCommand("openssl req -new -nodes -newkey rsa:1024 -keyout " +
                 (folder / "key") +
                 " -subj / -addext "
                 "subjectAltName=URI:spiffe://cluster.local/ns/full/sa/a "
                 "2>/dev/null")
          .output;
  const base::StatusOr<Csr> csr = Csr::ParsePem(pem);
  ASSERT_FALSE(csr.ok());
  EXPECT_THAT(std::string(csr.status().message()), HasSubstr("1024"));
}

TEST(Csr, RefusesGarbageTwoRequestsAndGiants) {
  const std::string one = *MakeCsr(*PrivateKey::GenerateP256(), Id("sleep"));
  EXPECT_FALSE(Csr::ParsePem("").ok());
  EXPECT_FALSE(Csr::ParsePem("garbage").ok());
  EXPECT_FALSE(Csr::ParsePem(one + one).ok());
  EXPECT_FALSE(Csr::ParsePem(one + std::string(100'000, '\n')).ok());
}

}  // namespace
}  // namespace nodeward::pki
