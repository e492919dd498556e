// SPDX-License-Identifier: Apache-2.0
#include "observe/ca_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nodeward::observe {
namespace {

using testing::HasSubstr;

TEST(CaMetricsTest, SaysWhatHappened) {
  CaMetrics metrics("1.2.3");
  metrics.Answered("OK", absl::Milliseconds(2));
  metrics.Answered("OK", absl::Milliseconds(2));
  metrics.Answered("PERMISSION_DENIED", absl::Seconds(9));
  metrics.Happened("IssuerUpdated");
  metrics.SetIssuer(absl::FromUnixSeconds(2000));
  metrics.SetServing(absl::FromUnixSeconds(1500));
  const std::string text = metrics.Text(absl::FromUnixSeconds(1400));
  EXPECT_THAT(text, HasSubstr("nodeward_build_info{version=\"1.2.3\"} 1"));
  EXPECT_THAT(text, HasSubstr("nodeward_ca_requests_total{code=\"OK\"} 2"));
  EXPECT_THAT(
      text,
      HasSubstr("nodeward_ca_requests_total{code=\"PERMISSION_DENIED\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("nodeward_ca_request_seconds_bucket{le=\"0.0025\"} 2"));
  EXPECT_THAT(
      text, HasSubstr("nodeward_ca_events_total{reason=\"IssuerUpdated\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("nodeward_ca_issuer_expiry_timestamp_seconds 2000"));
  EXPECT_THAT(text, HasSubstr("issuer_cert_ttl_seconds 600"));
  EXPECT_THAT(text,
              HasSubstr("nodeward_ca_serving_expiry_timestamp_seconds 1500"));
}

}  // namespace
}  // namespace nodeward::observe
