// SPDX-License-Identifier: Apache-2.0
#include "kube/account_token.h"

#include <gmock/gmock.h>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;

constexpr char kAsk[] = "POST /api/v1/namespaces/sys/serviceaccounts/cni/token";

class AccountTokenTest : public ApiTest {
 protected:
  void Ask() {
    loop_.Do([this] {
      token_ = std::make_unique<AccountToken>(
          loop_.loop(), client_.get(), "sys/cni", [] { return 0.0; },
          [this](const std::string& token) { last_ = token; });
    });
  }
  void TearDown() override {
    loop_.Do([this] { token_.reset(); });
    ApiTest::TearDown();
  }
  std::unique_ptr<AccountToken> token_;
  std::string last_;  // of the loop's thread
};

TEST_F(AccountTokenTest, AsksForOne) {
  Set(kAsk, 201,
      R"({"status":{"token":"t1","expirationTimestamp":)"
      R"("2099-01-01T00:00:00Z"}})");
  Ask();
  AwaitOnLoop([this] { return last_ == "t1"; });
  loop_.Do([this] { EXPECT_EQ(token_->problem(), ""); });
  EXPECT_THAT(Requests(),
              HasSubstr("application/json "
                        R"({"apiVersion":"authentication.k8s.io/v1",)"
                        R"("kind":"TokenRequest","spec":)"
                        R"({"expirationSeconds":86400}})"));
}

TEST_F(AccountTokenTest, AsksAgainUntilThereIsOne) {
  Set(kAsk, 403, "{}");
  Ask();
  AwaitOnLoop([this] { return !token_->problem().empty(); });
  loop_.Do([this] {
    EXPECT_THAT(token_->problem(),
                HasSubstr("token of ServiceAccount sys/cni: the API server "
                          "answers 403 (the agent needs create"));
  });
  Set(kAsk, 201, R"({"status":{"token":"t2"}})");
  AwaitOnLoop([this] { return last_ == "t2"; });
  loop_.Do([this] { EXPECT_EQ(token_->problem(), ""); });
}

TEST_F(AccountTokenTest, WhatIsNoTokenIsAProblem) {
  Set(kAsk, 201, "[]");
  Ask();
  AwaitOnLoop([this] { return !token_->problem().empty(); });
  EXPECT_EQ(last_, "");
}

}  // namespace
}  // namespace nodeward::kube
