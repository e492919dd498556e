// SPDX-License-Identifier: Apache-2.0
#include "pki/openssl_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>

namespace nodeward::pki {
namespace {

TEST(OpenSslStatus, NamesTheReasonAndEmptiesTheQueue) {
  ERR_raise(ERR_LIB_PEM, PEM_R_BAD_BASE64_DECODE);
  ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
  const base::Status status =
      OpenSslStatus("read key", absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()), "read key: no start line");
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(OpenSslStatus, HasWordsForNoReason) {
  ERR_clear_error();
  EXPECT_FALSE(TakeOpenSslReason().empty());
}

}  // namespace
}  // namespace nodeward::pki
