// SPDX-License-Identifier: Apache-2.0
#include "pki/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pki/command.h"
#include "pki/forge.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;

TEST(Certificate, TellsWhatOpensslTells) {
  TempFolder folder;
  const Root root = NewRoot();
  const auto credential = NewCredential(root, Id("sleep"));
  const Certificate& leaf = credential->leaf();
  const std::string shown =
      RunCommand(
          "openssl x509 -noout -serial -fingerprint -sha256 -startdate "
          "-enddate -dateopt iso_8601 -issuer -nameopt RFC2253 -in " +
          Spill(folder / "leaf", leaf.ToPem()))
          .output;
  EXPECT_THAT(shown, HasSubstr("serial=" + leaf.SerialHex() + "\n"));
  EXPECT_THAT(shown, HasSubstr("issuer=" + leaf.Issuer() + "\n"));
  EXPECT_EQ(leaf.Issuer(), "O=cluster.local");
  EXPECT_EQ(leaf.Subject(), "");
  const auto iso = [](absl::Time time) {
    return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", time, absl::UTCTimeZone());
  };
  EXPECT_THAT(shown, HasSubstr("notBefore=" + iso(leaf.not_before())));
  EXPECT_THAT(shown, HasSubstr("notAfter=" + iso(leaf.not_after())));
  std::string fingerprint;
  for (const char c : shown.substr(shown.find("ingerprint=") + 11, 95)) {
    if (c != ':') fingerprint += static_cast<char>(tolower(c));
  }
  EXPECT_EQ(fingerprint, leaf.Sha256Hex());
}

TEST(Certificate, SurvivesPem) {
  const Root root = NewRoot();
  const base::StatusOr<Certificate> again =
      Certificate::ParsePem(root.certificate.ToPem());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->Sha256Hex(), root.certificate.Sha256Hex());
}

TEST(Certificate, ReadsBundlesInOrderWithTextBetween) {
  const Root a = NewRoot();
  const Root b = NewRoot("other.example");
  const std::string text = "# first\n" + a.certificate.ToPem() + "# second\n" +
                           b.certificate.ToPem() + "# end\n";
  const auto all = Certificate::ParsePemBundle(text);
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].Sha256Hex(), a.certificate.Sha256Hex());
  EXPECT_EQ((*all)[1].Sha256Hex(), b.certificate.Sha256Hex());
  EXPECT_FALSE(Certificate::ParsePem(text).ok());
}

TEST(Certificate, RefusesBrokenPem) {
  const std::string good = NewRoot().certificate.ToPem();
  EXPECT_FALSE(Certificate::ParsePem("").ok());
  EXPECT_FALSE(Certificate::ParsePem("no certificate").ok());
  EXPECT_FALSE(Certificate::ParsePem(good.substr(0, good.size() / 2)).ok());
  std::string bad = good;
  bad[bad.size() / 2] = '!';
  EXPECT_FALSE(Certificate::ParsePemBundle(good + bad).ok());
}

TEST(Certificate, SpiffeIdWantsExactlyOneUri) {
  const Root root = NewRoot();
  const PrivateKey key = *PrivateKey::GenerateP256();
  const auto id = [&](const std::string& names) {
    return Forge(root, key, {.names = names}).SpiffeId();
  };
  const std::string a = "URI:spiffe://cluster.local/ns/full/sa/a";
  EXPECT_EQ(*id("critical," + a), Id("a"));
  // Other kinds of names are allowed beside it (X.509-SVID section 2).
  EXPECT_EQ(*id("DNS:a.full.svc," + a), Id("a"));
  EXPECT_FALSE(id("").ok());
  EXPECT_FALSE(id("DNS:a.full.svc").ok());
  EXPECT_FALSE(id(a + "," + a).ok());
  EXPECT_FALSE(id(a + ",URI:https://example.com").ok());
  EXPECT_FALSE(id("URI:https://example.com").ok());
  EXPECT_FALSE(id("URI:spiffe://cluster.local/ns/full").ok());
}

TEST(Certificate, KnowsItsKey) {
  const Root root = NewRoot();
  EXPECT_TRUE(root.certificate.Matches(root.key));
  EXPECT_FALSE(root.certificate.Matches(*PrivateKey::GenerateP256()));
}

}  // namespace
}  // namespace nodeward::pki
