// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace nodeward::base {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::StartsWith;

TEST(StatusTest, AnErrnoReadsAsTextAndNumber) {
  const Status status = ErrnoStatus(ENOENT, "open /x");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()),
              AllOf(StartsWith("open /x: No such file or directory ("),
                    EndsWith("2)")));
}

TEST(StatusTest, AContextGoesInFront) {
  const Status status = Annotate(absl::NotFoundError("open /x"), "start");
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(std::string(status.message()), "start: open /x");
  EXPECT_TRUE(Annotate(OkStatus(), "start").ok());
}

StatusOr<int> Half(int number) {
  if (number % 2 != 0) return absl::InvalidArgumentError("odd");
  return number / 2;
}

Status Quarter(int number, int* result) {
  NODEWARD_ASSIGN(const int half, Half(number));
  NODEWARD_ASSIGN(*result, Half(half));
  NODEWARD_TRY(OkStatus());
  NODEWARD_TRY(*result == 5 ? absl::InternalError("five") : OkStatus());
  return OkStatus();
}

TEST(StatusTest, ErrorsLeaveTheFunction) {
  int result = 0;
  EXPECT_TRUE(Quarter(8, &result).ok());
  EXPECT_EQ(result, 2);
  EXPECT_TRUE(absl::IsInvalidArgument(Quarter(7, &result)));
  EXPECT_TRUE(absl::IsInvalidArgument(Quarter(6, &result)));
  EXPECT_TRUE(absl::IsInternal(Quarter(20, &result)));
}

}  // namespace
}  // namespace nodeward::base
