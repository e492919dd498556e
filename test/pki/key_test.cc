// SPDX-License-Identifier: Apache-2.0
#include "pki/key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <sstream>
#include <type_traits>

#include "pki/command.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;

static_assert(!std::is_copy_constructible_v<PrivateKey>);
static_assert(!std::is_copy_assignable_v<PrivateKey>);

std::string Genpkey(const std::string& arguments) {
  const CommandResult made = RunCommand("openssl genpkey -quiet " + arguments +
                                        " 2>/dev/null || "
                                        "openssl genpkey " +
                                        arguments + " 2>/dev/null");
  EXPECT_EQ(made.status, 0) << made.output;
  return made.output;
}

TEST(PrivateKey, SurvivesPem) {
  const base::StatusOr<PrivateKey> key = PrivateKey::GenerateP256();
  ASSERT_TRUE(key.ok()) << key.status();
  const base::StatusOr<std::string> pem = key->ToPem();
  ASSERT_TRUE(pem.ok()) << pem.status();
  const base::StatusOr<PrivateKey> again = PrivateKey::ParsePem(*pem);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(EVP_PKEY_eq(key->native(), again->native()), 1);
}

TEST(PrivateKey, EveryOneIsNew) {
  const PrivateKey a = *PrivateKey::GenerateP256();
  const PrivateKey b = *PrivateKey::GenerateP256();
  EXPECT_NE(EVP_PKEY_eq(a.native(), b.native()), 1);
}

TEST(PrivateKey, MovesAndLeavesNothingBehind) {
  PrivateKey a = *PrivateKey::GenerateP256();
  EVP_PKEY* native = a.native();
  PrivateKey b = std::move(a);
  EXPECT_EQ(b.native(), native);
  PrivateKey c = *PrivateKey::GenerateP256();
  c = std::move(b);
  EXPECT_EQ(c.native(), native);
}

TEST(PrivateKey, PrintsNothingOfItself) {
  std::ostringstream out;
  out << *PrivateKey::GenerateP256();
  EXPECT_EQ(out.str(), "[key]");
}

TEST(PrivateKey, TakesStrongForeignKeys) {
  for (const char* arguments :
       {"-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"}) {
    const base::StatusOr<PrivateKey> key =
        PrivateKey::ParsePem(Genpkey(arguments));
    EXPECT_TRUE(key.ok()) << arguments << ": " << key.status();
  }
}

TEST(PrivateKey, RefusesWeakAndOddKeys) {
  const std::pair<const char*, const char*> cases[] = {
      {"-algorithm EC -pkeyopt ec_paramgen_curve:P-521", "P-384"},
      {"-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", "secp256k1"},
      {"-algorithm EC -pkeyopt ec_paramgen_curve:P-256 "
       "-pkeyopt ec_param_enc:explicit",
       "spelt out"},
      {"-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "1024"},
      {"-algorithm ED25519", "ED25519"}};
  for (const auto& [arguments, cause] : cases) {
    const base::StatusOr<PrivateKey> key =
        PrivateKey::ParsePem(Genpkey(arguments));
    ASSERT_FALSE(key.ok()) << arguments;
    EXPECT_THAT(std::string(key.status().message()), HasSubstr(cause));
  }
}

TEST(PrivateKey, SaysThatAKeyIsEncryptedAndAsksNobody) {
  const std::string pem = Genpkey(
      "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:x");
  const base::StatusOr<PrivateKey> key = PrivateKey::ParsePem(pem);
  ASSERT_FALSE(key.ok());
  EXPECT_THAT(std::string(key.status().message()), HasSubstr("encrypted"));
}

TEST(PrivateKey, RefusesWhatIsNoKey) {
  for (const char* text :
       {"", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n"}) {
    EXPECT_FALSE(PrivateKey::ParsePem(text).ok()) << text;
  }
}

TEST(Wipe, EmptiesTheText) {
  std::string text = "a secret longer than the small string buffer";
  const char* memory = text.data();
  Wipe(&text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(memory[1], '\0');
}

}  // namespace
}  // namespace nodeward::pki
