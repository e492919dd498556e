// SPDX-License-Identifier: Apache-2.0
#include "admin/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nodeward::admin {
namespace {

using base::Json;

std::vector<CertificateReport> Two() {
  CertificateReport sleep;
  sleep.identity = "spiffe://cluster.local/ns/full/sa/sleep";
  sleep.state = "pending";
  CertificateReport bin;
  bin.identity = "spiffe://cluster.local/ns/full/sa/bin";
  bin.state = "valid";
  bin.serial = "0A";
  bin.issuer = "O=cluster.local";
  bin.not_after = absl::FromUnixSeconds(1700000000);
  bin.chain_pem = "PEM";
  return {sleep, bin};
}

TEST(CertificatesResult, ListsAllSortedWithoutPem) {
  const auto result = CertificatesResult(Two(), Json::object());
  ASSERT_TRUE(result.ok());
  const Json& all = base::GetMember(*result, "certificates");
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(base::GetString(all[0], "identity"),
            "spiffe://cluster.local/ns/full/sa/bin");
  EXPECT_EQ(base::GetString(all[0], "not_after"), "2023-11-14T22:13:20Z");
  EXPECT_EQ(base::GetString(all[1], "not_after"), "");
  EXPECT_FALSE(all[0].contains("chain"));
}

TEST(CertificatesResult, OneByEitherName) {
  for (const char* name :
       {"full/bin", "spiffe://cluster.local/ns/full/sa/bin"}) {
    const auto result = CertificatesResult(Two(), {{"identity", name}});
    ASSERT_TRUE(result.ok()) << result.status();
    const Json& all = base::GetMember(*result, "certificates");
    ASSERT_EQ(all.size(), 1);
    EXPECT_EQ(base::GetString(all[0], "chain"), "PEM");
  }
  EXPECT_EQ(
      CertificatesResult(Two(), {{"identity", "full/other"}}).status().code(),
      absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace nodeward::admin
