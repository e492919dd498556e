// SPDX-License-Identifier: Apache-2.0
#include "cni/result.h"

#include <gtest/gtest.h>

namespace nodeward::cni {
namespace {

TEST(ResultTest, ThePreviousOneUnchanged) {
  Call call;
  call.cni_version = "1.0.0";
  call.previous = *base::ParseJson(R"({"cniVersion":"0.4.0","ips":[],"z":1})");
  EXPECT_EQ(ResultText(call), R"({"cniVersion":"0.4.0","ips":[],"z":1})"
                              "\n");
  call.previous = *base::ParseJson(R"({"ips":[]})");
  EXPECT_EQ(ResultText(call), R"({"cniVersion":"1.0.0","ips":[]})"
                              "\n");
}

TEST(ResultTest, FailuresHaveTheSpecificationsCodes) {
  const auto code = [](const base::Status& status) {
    return base::GetInt(*base::ParseJson(FailureText(status, "")), "code");
  };
  EXPECT_EQ(code(absl::UnimplementedError("")), 1);
  EXPECT_EQ(code(absl::InvalidArgumentError("")), 4);
  EXPECT_EQ(code(absl::DataLossError("")), 6);
  EXPECT_EQ(code(absl::FailedPreconditionError("")), 7);
  EXPECT_EQ(code(absl::UnavailableError("")), 11);
  EXPECT_EQ(FailureText(absl::UnavailableError("no agent"), "0.4.0"),
            R"({"cniVersion":"0.4.0","code":11,"msg":"nodeward: no agent"})"
            "\n");
}

TEST(ResultTest, Versions) {
  EXPECT_EQ(VersionText("0.4.0"),
            R"({"cniVersion":"0.4.0","supportedVersions":["0.3.0","0.3.1",)"
            R"("0.4.0","1.0.0","1.1.0"]})"
            "\n");
}

}  // namespace
}  // namespace nodeward::cni
