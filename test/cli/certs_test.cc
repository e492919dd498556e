// SPDX-License-Identifier: Apache-2.0
#include "cli/certs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/certificates.h"
#include "cli/fake_environment_fixture.h"
#include "pki/forge.h"

namespace nodeward::cli {
namespace {

using base::Json;
using testing::HasSubstr;
using testing::Not;

class CertsTest : public testing::Test {
 protected:
  CertsTest() {
    admin::CertificateReport report;
    report.identity = pki::Id("bin").ToSpiffe();
    report.state = "renewal failing";
    report.serial = credential_->leaf().SerialHex();
    report.not_after = absl::FromUnixSeconds(1700000000);
    report.issuer = "O=cluster.local";
    report.error = "the CA is away";
    report.chain_pem = credential_->leaf().ToPem();
    reports_ = {report};
  }
  void Answer(const Json& arguments) {
    fake_.answers.insert_or_assign(
        "certs", admin::CertificatesResult(reports_, arguments));
  }

  const pki::Root root_ = pki::NewRoot();
  const std::shared_ptr<const pki::Credential> credential_ =
      pki::NewCredential(root_, pki::Id("bin"));
  std::vector<admin::CertificateReport> reports_;
  FakeEnvironment fake_;
};

TEST_F(CertsTest, Table) {
  Answer(Json::object());
  EXPECT_EQ(*Certs(fake_.environment(), {}), kOk);
  EXPECT_THAT(fake_.out(), HasSubstr("IDENTITY"));
  EXPECT_THAT(fake_.out(), HasSubstr("spiffe://cluster.local/ns/full/sa/bin"));
  EXPECT_THAT(fake_.out(), HasSubstr("2023-11-14T22:13:20Z"));
  EXPECT_THAT(fake_.out(), HasSubstr("renewal failing: the CA is away"));
}

TEST_F(CertsTest, JsonIsAList) {
  Answer(Json::object());
  EXPECT_EQ(*Certs(fake_.environment(), {.run_dir = "", .output = "json"}),
            kOk);
  const auto parsed = base::ParseJson(fake_.out());
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->size(), 1);
  EXPECT_EQ(base::GetString((*parsed)[0], "serial"), reports_[0].serial);
}

TEST_F(CertsTest, NoneIsSaid) {
  reports_.clear();
  Answer(Json::object());
  EXPECT_EQ(*Certs(fake_.environment(), {}), kOk);
  EXPECT_EQ(fake_.out(), "No certificates found.\n");
}

TEST_F(CertsTest, ShowsPemOrText) {
  Answer({{"identity", "full/bin"}});
  ShowCertificateOptions options;
  options.identity = "full/bin";
  EXPECT_EQ(*ShowCertificate(fake_.environment(), options), kOk);
  EXPECT_EQ(fake_.out(), reports_[0].chain_pem);
  EXPECT_EQ(base::GetString(fake_.asked_arguments, "identity"), "full/bin");
  options.text = true;
  EXPECT_EQ(*ShowCertificate(fake_.environment(), options), kOk);
  EXPECT_THAT(fake_.out(),
              HasSubstr("URI:spiffe://cluster.local/ns/full/sa/bin"));
}

TEST_F(CertsTest, ShowsNothingButCertificates) {
  reports_[0].chain_pem += *credential_->key.ToPem();
  Answer({{"identity", "full/bin"}});
  EXPECT_EQ(*ShowCertificate(fake_.environment(),
                             {.run_dir = "", .identity = "full/bin"}),
            kOk);
  EXPECT_THAT(fake_.out(), Not(HasSubstr("PRIVATE")));
  reports_[0].chain_pem.clear();
  Answer({{"identity", "full/bin"}});
  EXPECT_EQ(ShowCertificate(fake_.environment(),
                            {.run_dir = "", .identity = "full/bin"})
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace nodeward::cli
