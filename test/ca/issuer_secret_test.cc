// SPDX-License-Identifier: Apache-2.0
#include "ca/issuer_secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "pki/forge.h"

namespace nodeward::ca {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class IssuerSecretTest : public testing::Test {
 protected:
  base::StatusOr<bool> Create(
      base::StatusOr<std::pair<long, std::string>> answer) {
    return CreateIssuerSecret(
        [this, answer](const std::string& path, const std::string& json) {
          path_ = path;
          json_ = json;
          return answer;
        },
        {"system", "issuer"}, root_);
  }
  void ExpectError(const base::StatusOr<bool>& made, const std::string& words) {
    ASSERT_FALSE(made.ok());
    EXPECT_THAT(std::string(made.status().message()), HasSubstr(words));
  }

  const pki::Root root_ = pki::NewRoot();
  std::string path_;
  std::string json_;
};

TEST_F(IssuerSecretTest, ItIsMadeAsCertManagerWouldMakeIt) {
  const auto made = Create(std::pair(201L, std::string("{}")));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(*made);
  EXPECT_EQ(path_, "/api/v1/namespaces/system/secrets");
  const base::Json secret = *base::ParseJson(json_);
  EXPECT_EQ(secret["kind"], "Secret");
  EXPECT_EQ(secret["type"], "kubernetes.io/tls");
  EXPECT_EQ(secret["metadata"]["name"], "issuer");
  EXPECT_EQ(secret["metadata"]["namespace"], "system");
  const base::Json& data = secret["stringData"];
  EXPECT_EQ(data["tls.crt"], root_.certificate.ToPem());
  EXPECT_EQ(data["ca.crt"], root_.certificate.ToPem());
  EXPECT_EQ(data["tls.key"], *root_.key.ToPem());
}

TEST_F(IssuerSecretTest, OneThatIsThereStays) {
  const auto made = Create(std::pair(409L, std::string("{}")));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_FALSE(*made);
}

TEST_F(IssuerSecretTest, ARefusalSaysWhatIsMissing) {
  ExpectError(Create(std::pair(
                  403L, std::string(R"({"message":"secrets is forbidden"})"))),
              "create Secret system/issuer: HTTP 403 secrets is forbidden "
              "(may our ServiceAccount create Secrets there?)");
  ExpectError(Create(std::pair(500L, std::string("oops"))), "HTTP 500");
  ExpectError(Create(absl::UnavailableError("no answer")), "no answer");
}

}  // namespace
}  // namespace nodeward::ca
