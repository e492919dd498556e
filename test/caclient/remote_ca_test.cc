// SPDX-License-Identifier: Apache-2.0
#include "caclient/remote_ca.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/synchronization/notification.h"
#include "base/mutex.h"
#include "nodeward/proto/ca.grpc.pb.h"
#include "pki/chain.h"
#include "pki/csr.h"
#include "pki/forge.h"

namespace nodeward::caclient {
namespace {

namespace proto = istio::v1::auth;
using pki::Id;
using testing::HasSubstr;
using testing::Not;

// Signs whatever it is asked for, in the layout that the test wants.
class Service final : public proto::IstioCertificateService::Service {
 public:
  explicit Service(const pki::Root* root) : root_(root) {}
  grpc::Status CreateCertificate(
      grpc::ServerContext* context,
      const proto::IstioCertificateRequest* request,
      proto::IstioCertificateResponse* response) override {
    base::MutexLock lock(&mutex);
    asked = *request;
    const auto header = [&](const char* name) {
      const auto shown = context->client_metadata().find(name);
      return shown == context->client_metadata().end()
                 ? ""
                 : std::string(shown->second.data(), shown->second.size());
    };
    token = header("authorization");
    cluster = header("clusterid");
    if (!refusal.ok()) return refusal;
    const auto csr = pki::Csr::ParsePem(request->csr());
    EXPECT_TRUE(csr.ok()) << csr.status();
    const auto leaf = pki::SignLeaf(
        *root_, csr->public_key(), *csr->SpiffeId(),
        {.not_before = absl::Now() - absl::Seconds(20),
         .not_after =
             absl::Now() + absl::Seconds(request->validity_duration())});
    for (const std::string& part : layout(leaf->ToPem())) {
      response->add_cert_chain(part);
    }
    return grpc::Status::OK;
  }

  base::Mutex mutex;
  proto::IstioCertificateRequest asked;
  std::string token;
  std::string cluster;
  grpc::Status refusal;
  std::function<std::vector<std::string>(std::string leaf)> layout =
      [this](std::string leaf) {
        return std::vector<std::string>{leaf, root_->certificate.ToPem()};
      };

 private:
  const pki::Root* const root_;
};

class RemoteCaTest : public testing::Test {
 protected:
  RemoteCaTest() {
    std::filesystem::create_directories(folder_);
    const pki::PrivateKey key = *pki::PrivateKey::GenerateP256();
    const pki::Certificate own =
        pki::Forge(tls_root_, key, {.names = "DNS:ca.test"});
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back({*key.ToPem(), own.ToPem()});
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls),
                             &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    options_.address = "127.0.0.1:" + std::to_string(port);
    options_.server_name = "ca.test";
    options_.roots = folder_ / "roots.pem";
    options_.token = folder_ / "token";
    options_.lifetime = absl::Hours(1);
    Write(options_.roots, tls_root_.certificate.ToPem());
    Write(options_.token, "first\n");
  }
  ~RemoteCaTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
    std::filesystem::remove_all(folder_);
  }
  void Write(const std::string& path, const std::string& text) const {
    std::ofstream(path) << text;
  }
  base::StatusOr<pki::Issued> Ask(RemoteCa& ca) {
    absl::Notification done;
    base::StatusOr<pki::Issued> answer = absl::UnknownError("none");
    ca.Issue(Id("a"), *pki::MakeCsr(key_, Id("a")),
             [&](base::StatusOr<pki::Issued> issued) {
               answer = std::move(issued);
               done.Notify();
             });
    done.WaitForNotification();
    return answer;
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      ("nodeward-remote-ca-" + std::to_string(getpid()) + "-" +
       testing::UnitTest::GetInstance()->current_test_info()->name());
  const pki::Root tls_root_ = pki::NewRoot("tls.test");
  const pki::Root root_ = pki::NewRoot();
  const pki::PrivateKey key_ = *pki::PrivateKey::GenerateP256();
  Service service_{&root_};
  std::unique_ptr<grpc::Server> server_;
  RemoteCa::Options options_;
};

TEST_F(RemoteCaTest, AsksAsIstiodExpects) {
  const auto ca = RemoteCa::Create(options_);
  const auto issued = Ask(*ca);
  ASSERT_TRUE(issued.ok()) << issued.status();
  EXPECT_TRUE(pki::CheckIssued(*issued, Id("a"), key_, absl::Now()).ok());
  base::MutexLock lock(&service_.mutex);
  EXPECT_EQ(service_.token, "Bearer first");
  EXPECT_EQ(service_.asked.validity_duration(), 3600);
  EXPECT_EQ(service_.asked.metadata()
                .fields()
                .at("ImpersonatedIdentity")
                .string_value(),
            Id("a").ToSpiffe());
}

TEST_F(RemoteCaTest, NamesItsClusterIfItHasAName) {
  ASSERT_TRUE(Ask(*RemoteCa::Create(options_)).ok());
  {
    base::MutexLock lock(&service_.mutex);
    EXPECT_EQ(service_.cluster, "");
  }
  options_.cluster = "Kubernetes";
  ASSERT_TRUE(Ask(*RemoteCa::Create(options_)).ok());
  base::MutexLock lock(&service_.mutex);
  EXPECT_EQ(service_.cluster, "Kubernetes");
}

TEST_F(RemoteCaTest, ATokenThatIsNoHeaderIsNotSent) {
  const auto ca = RemoteCa::Create(options_);
  for (const std::string_view bad : {"two\nlines", "a blank", "t\xc3\xb6ken"}) {
    Write(options_.token, std::string(bad));
    const auto answer = Ask(*ca);
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kFailedPrecondition);
    const std::string why(answer.status().message());
    EXPECT_THAT(why, HasSubstr(options_.token));
    EXPECT_THAT(why, Not(HasSubstr(std::string(bad))));
  }
  Write(options_.token, "\n good \r\n");
  EXPECT_TRUE(Ask(*ca).ok());
}

TEST_F(RemoteCaTest, SaysWhatIstiodWants) {
  const auto ca = RemoteCa::Create(options_);
  service_.refusal = {grpc::StatusCode::UNAUTHENTICATED,
                      "request impersonation authentication failure"};
  const auto other = Ask(*ca);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(other.status().message()),
              HasSubstr("CA_TRUSTED_NODE_ACCOUNTS"));
  service_.refusal = {grpc::StatusCode::UNAUTHENTICATED,
                      "request authenticate failure"};
  EXPECT_THAT(std::string(Ask(*ca).status().message()),
              HasSubstr("istio-ca as its audience"));
  service_.refusal = {grpc::StatusCode::UNAUTHENTICATED, "no token"};
  EXPECT_THAT(std::string(Ask(*ca).status().message()),
              Not(HasSubstr("istiod")));
}

TEST_F(RemoteCaTest, TheTokenIsReadAnew) {
  const auto ca = RemoteCa::Create(options_);
  ASSERT_TRUE(Ask(*ca).ok());
  Write(options_.token, "second");
  ASSERT_TRUE(Ask(*ca).ok());
  {
    base::MutexLock lock(&service_.mutex);
    EXPECT_EQ(service_.token, "Bearer second");
  }
  std::filesystem::remove(options_.token);
  EXPECT_THAT(Ask(*ca).status().message().data(), HasSubstr("token"));
}

TEST_F(RemoteCaTest, ErrorsKeepTheirCodeAndTellNoToken) {
  const auto ca = RemoteCa::Create(options_);
  service_.refusal = {grpc::StatusCode::PERMISSION_DENIED, "not on your\nnode"};
  const auto refused = Ask(*ca);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kPermissionDenied);
  const std::string why(refused.status().message());
  EXPECT_THAT(why, HasSubstr(options_.address));
  EXPECT_THAT(why, HasSubstr("not on your node"));
  EXPECT_THAT(why, Not(HasSubstr("first")));
}

TEST_F(RemoteCaTest, TheCasOwnCertificateMustLeadToTheRoots) {
  const auto ca = RemoteCa::Create(options_);
  Write(options_.roots, root_.certificate.ToPem());
  EXPECT_EQ(Ask(*ca).status().code(), absl::StatusCode::kUnavailable);
  {
    base::MutexLock lock(&service_.mutex);
    EXPECT_EQ(service_.token, "") << "shown to a stranger";
  }
  // Changed under the running client, both ways.
  Write(options_.roots, tls_root_.certificate.ToPem());
  EXPECT_TRUE(Ask(*ca).ok());
  Write(options_.roots, root_.certificate.ToPem());
  EXPECT_EQ(Ask(*ca).status().code(), absl::StatusCode::kUnavailable);
  options_.server_name = "other.test";
  Write(options_.roots, tls_root_.certificate.ToPem());
  EXPECT_EQ(Ask(*RemoteCa::Create(options_)).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(RemoteCaTest, AnAbsentCaIsUnavailableAndReturnsWhenItDoes) {
  const auto ca = RemoteCa::Create(options_);
  server_->Shutdown(std::chrono::system_clock::now());
  EXPECT_EQ(Ask(*ca).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(RemoteCaTest, DestructionAnswersWhatIsOpen) {
  service_.mutex.Lock();  // the server hangs
  auto ca = RemoteCa::Create(options_);
  absl::Notification done;
  ca->Issue(Id("a"), *pki::MakeCsr(key_, Id("a")),
            [&](base::StatusOr<pki::Issued> issued) {
              EXPECT_FALSE(issued.ok());
              done.Notify();
            });
  ca.reset();
  EXPECT_TRUE(done.HasBeenNotified());
  service_.mutex.Unlock();
}

TEST(ReadAnswer, EitherLayoutRootsLast) {
  const pki::Root root = pki::NewRoot();
  const pki::Root second = pki::NewRoot("second.example");
  const pki::Certificate leaf = pki::NewCredential(root, Id("a"))->leaf();
  const pki::PrivateKey key = *pki::PrivateKey::GenerateP256();
  const std::string between =
      pki::Forge(root, key,
                 {.basic_constraints = "critical,CA:TRUE",
                  .key_usage = "critical,keyCertSign",
                  .organization = "between"})
          .ToPem();
  const std::string first = leaf.ToPem();
  const std::string last = root.certificate.ToPem();
  struct Layout {
    std::vector<std::string> parts;
    size_t chain, roots;
  };
  for (const Layout& each : std::vector<Layout>{
           {{first, last}, 1, 1},
           {{first, between, last}, 2, 1},
           {{first + between, last}, 2, 1},
           {{first + between + last}, 2, 1},
           {{first, between + last, last}, 2, 1},
           {{first, between, last + second.certificate.ToPem()}, 2, 2}}) {
    const auto issued = ReadAnswer(each.parts);
    ASSERT_TRUE(issued.ok()) << issued.status();
    EXPECT_EQ(issued->chain.size(), each.chain);
    EXPECT_EQ(issued->roots.size(), each.roots);
    EXPECT_EQ(issued->chain[0].SerialHex(), leaf.SerialHex());
    EXPECT_EQ(issued->roots[0].SerialHex(), root.certificate.SerialHex());
  }
  EXPECT_FALSE(ReadAnswer({}).ok());
  EXPECT_FALSE(ReadAnswer({first}).ok());
  EXPECT_FALSE(ReadAnswer({"rubbish", last}).ok());
}

}  // namespace
}  // namespace nodeward::caclient
