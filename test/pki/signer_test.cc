// SPDX-License-Identifier: Apache-2.0
#include "pki/signer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "pki/command.h"
#include "pki/forge.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;

TEST(MakeRoot, IsACaInTheEyesOfOpenssl) {
  TempFolder folder;
  const Root root = NewRoot("cluster.local");
  const std::string file = Spill(folder / "ca", root.certificate.ToPem());
  const CommandResult shown =
      RunCommand("openssl x509 -text -noout -in " + file);
  EXPECT_THAT(shown.output, HasSubstr("Subject: O = cluster.local\n"));
  EXPECT_THAT(shown.output, HasSubstr("Issuer: O = cluster.local\n"));
  EXPECT_THAT(shown.output, HasSubstr("ASN1 OID: prime256v1"));
  EXPECT_THAT(shown.output, HasSubstr("X509v3 Basic Constraints: critical\n"
                                      "                CA:TRUE\n"));
  EXPECT_THAT(shown.output, HasSubstr("X509v3 Key Usage: critical\n"
                                      "                Certificate Sign, CRL "
                                      "Sign\n"));
  EXPECT_THAT(shown.output, HasSubstr("X509v3 Subject Key Identifier"));
  EXPECT_EQ(
      RunCommand("openssl verify -x509_strict -CAfile " + file + " " + file)
          .status,
      0);
  EXPECT_TRUE(CheckRoot(root).ok()) << CheckRoot(root);
}

TEST(MakeRoot, CutsALongTrustDomain) {
  const std::string domain(200, 'a');
  const Root root = NewRoot(domain);
  EXPECT_EQ(root.certificate.Subject(), "O=" + domain.substr(0, 64));
}

TEST(CheckRoot, RefusesAForeignKeyALeafAndAnIntermediate) {
  const Root root = NewRoot();
  EXPECT_FALSE(CheckRoot({root.certificate, *PrivateKey::GenerateP256()}).ok());

  PrivateKey key = *PrivateKey::GenerateP256();
  Certificate leaf = Forge(root, key, {.names = "DNS:a"});
  EXPECT_THAT(std::string(CheckRoot({leaf, std::move(key)}).message()),
              HasSubstr("not a CA's"));

  PrivateKey middle_key = *PrivateKey::GenerateP256();
  Certificate middle =
      Forge(root, middle_key,
            {.basic_constraints = "CA:TRUE", .key_usage = "keyCertSign"});
  EXPECT_THAT(std::string(CheckRoot({middle, std::move(middle_key)}).message()),
              HasSubstr("not self-signed"));
}

TEST(SignLeaf, GivesEveryLeafALargeSerialOfItsOwn) {
  const Root root = NewRoot();
  const PrivateKey key = *PrivateKey::GenerateP256();
  std::set<std::string> serials;
  for (int i = 0; i < 100; ++i) {
    const base::StatusOr<Certificate> leaf = SignLeaf(
        root, key.native(), Id("a"),
        {.not_before = absl::Now(), .not_after = absl::Now() + absl::Hours(1)});
    ASSERT_TRUE(leaf.ok()) << leaf.status();
    const std::string serial = leaf->SerialHex();
    EXPECT_NE(serial[0], '-');
    // 128 random bits are shorter than 24 digits once in 2^32 times.
    EXPECT_GE(serial.size(), 24u);
    EXPECT_LE(serial.size(), 32u);
    serials.insert(serial);
  }
  EXPECT_EQ(serials.size(), 100u);
}

TEST(SignLeaf, NeedsNoKeyIdentifierInTheRoot) {
  const Root proper = NewRoot();
  PrivateKey key = *PrivateKey::GenerateP256();
  const Certificate bare = Forge(proper, key,
                                 {.basic_constraints = "CA:TRUE",
                                  .key_usage = "keyCertSign",
                                  .organization = "bare"});
  const Root root{bare, std::move(key)};
  const PrivateKey leaf_key = *PrivateKey::GenerateP256();
  const base::StatusOr<Certificate> leaf = SignLeaf(
      root, leaf_key.native(), Id("a"),
      {.not_before = absl::Now(), .not_after = absl::Now() + absl::Hours(1)});
  ASSERT_TRUE(leaf.ok()) << leaf.status();
  EXPECT_EQ(leaf->Issuer(), "O=bare");
}

}  // namespace
}  // namespace nodeward::pki
