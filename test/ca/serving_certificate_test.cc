// SPDX-License-Identifier: Apache-2.0
#include "ca/serving_certificate.h"

#include <gtest/gtest.h>

#include "pki/certificate.h"
#include "pki/forge.h"

namespace nodeward::ca {
namespace {

class ServingCertificateTest : public testing::Test {
 protected:
  std::shared_ptr<const pki::Authority> NewAuthority() {
    pki::Root root = pki::NewRoot();
    const pki::Certificate certificate = root.certificate;
    return *pki::Authority::Create({.certificates = {certificate},
                                    .key = std::move(root.key),
                                    .roots = {certificate},
                                    .source = "",
                                    .warnings = {}},
                                   "cluster.local", now_);
  }
  absl::Time now_ = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  ServingCertificate certificate_{{.names = {.dns = {"ca"}, .addresses = {}},
                                   .lifetime = absl::Hours(2),
                                   .clock_skew = absl::Seconds(20)}};
};

TEST_F(ServingCertificateTest, RenewedAtHalfItsLife) {
  const auto authority = NewAuthority();
  EXPECT_FALSE(certificate_.NewerThan(0).has_value());
  ASSERT_TRUE(certificate_.Refresh(authority, now_).ok());
  const auto first = certificate_.NewerThan(0);
  ASSERT_TRUE(first.has_value());
  const auto chain = pki::Certificate::ParsePemBundle(first->chain);
  ASSERT_TRUE(chain.ok());
  EXPECT_EQ(chain->front().not_after(), now_ + absl::Hours(2));
  EXPECT_EQ(chain->front().not_before(), now_ - absl::Seconds(20));
  EXPECT_TRUE(chain->front().Matches(*pki::PrivateKey::ParsePem(first->key)));
  EXPECT_EQ(certificate_.not_after(), now_ + absl::Hours(2));

  ASSERT_TRUE(certificate_.Refresh(authority, now_ + absl::Minutes(59)).ok());
  EXPECT_FALSE(certificate_.NewerThan(first->generation).has_value());
  ASSERT_TRUE(certificate_.Refresh(authority, now_ + absl::Minutes(60)).ok());
  const auto second = certificate_.NewerThan(first->generation);
  ASSERT_TRUE(second.has_value());
  EXPECT_NE(second->key, first->key);
}

TEST_F(ServingCertificateTest, RenewedWithTheIssuerAndKeptWhenThatFails) {
  ASSERT_TRUE(certificate_.Refresh(NewAuthority(), now_).ok());
  const auto first = certificate_.NewerThan(0);
  const auto other = NewAuthority();
  ASSERT_TRUE(certificate_.Refresh(other, now_).ok());
  const auto second = certificate_.NewerThan(first->generation);
  ASSERT_TRUE(second.has_value());
  EXPECT_FALSE(certificate_.Refresh(other, other->not_after()).ok());
  EXPECT_FALSE(certificate_.NewerThan(second->generation).has_value());
}

}  // namespace
}  // namespace nodeward::ca
