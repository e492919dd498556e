// SPDX-License-Identifier: Apache-2.0
#include "ca/server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "nodeward/proto/ca.grpc.pb.h"
#include "pki/csr.h"
#include "pki/forge.h"

namespace nodeward::ca {
namespace {

using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;
using istio::v1::auth::IstioCertificateService;

class TokenIsTheAccount final : public Authenticator {
 public:
  base::StatusOr<Caller> Authenticate(const std::string& token) override {
    return Caller{"full", token, "", "", ""};
  }
  std::string Description() const override { return "fake"; }
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    pki::Root root = pki::NewRoot();
    roots_ = root.certificate.ToPem();
    const pki::Certificate certificate = root.certificate;
    authority_ = *pki::Authority::Create({.certificates = {certificate},
                                          .key = std::move(root.key),
                                          .roots = {certificate},
                                          .source = "",
                                          .warnings = {}},
                                         "cluster.local", absl::Now());
    EXPECT_TRUE(certificate_.Refresh(authority_, absl::Now()).ok());
    server_ =
        *Server::Start({.listen = {*base::IpAddress::Parse("127.0.0.1"), 0}},
                       &service_, &certificate_);
  }
  std::unique_ptr<IstioCertificateService::Stub> Stub() {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = roots_;
    grpc::ChannelArguments arguments;
    // Another connection, and so another handshake, each time.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return IstioCertificateService::NewStub(grpc::CreateCustomChannel(
        "localhost:" + std::to_string(server_->port()),
        grpc::SslCredentials(options), arguments));
  }
  grpc::Status Ask(IstioCertificateService::Stub& stub,
                   const std::vector<std::string>& authorization) {
    grpc::ClientContext context;
    for (const std::string& value : authorization) {
      context.AddMetadata("authorization", value);
    }
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(20));
    request_.set_csr(*pki::MakeCsr(key_, pki::Id("a")));
    return stub.CreateCertificate(&context, request_, &response_);
  }

  const pki::PrivateKey key_ = *pki::PrivateKey::GenerateP256();
  std::string roots_;
  std::shared_ptr<const pki::Authority> authority_;
  TokenIsTheAccount authenticator_;
  const Authorizer authorizer_{{"cluster.local", {}}};
  observe::CaMetrics metrics_{"test"};
  Service service_{{},
                   [this] { return authority_; },
                   &authenticator_,
                   &authorizer_,
                   &metrics_};
  ServingCertificate certificate_{
      {.names = {.dns = {"localhost"}, .addresses = {}}}};
  IstioCertificateRequest request_;
  IstioCertificateResponse response_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersWithTheChain) {
  const auto stub = Stub();
  for (const char* scheme : {"Bearer ", "bearer ", "BEARER "}) {
    const grpc::Status status = Ask(*stub, {std::string(scheme) + "a"});
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response_.cert_chain_size(), 2);
  }
}

TEST_F(ServerTest, TokenElsewhereOrTwiceIsNone) {
  const auto stub = Stub();
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{},
                                                {"a"},
                                                {"Basic a"},
                                                {"Bearer "},
                                                {"Bearer a", "Bearer a"},
                                                {"Bear"}}) {
    EXPECT_EQ(Ask(*stub, wrong).error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
  }
}

TEST_F(ServerTest, ImpersonationThatIsNoStringIsNotPassedOver) {
  const auto stub = Stub();
  auto& field =
      (*request_.mutable_metadata()->mutable_fields())["ImpersonatedIdentity"];
  field.set_number_value(1);
  EXPECT_EQ(Ask(*stub, {"Bearer a"}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  field.set_string_value("");
  EXPECT_EQ(Ask(*stub, {"Bearer a"}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  field.set_string_value("spiffe://cluster.local/ns/full/sa/b");
  EXPECT_EQ(Ask(*stub, {"Bearer a"}).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  request_.clear_metadata();
  request_.set_validity_duration(-1);
  EXPECT_EQ(Ask(*stub, {"Bearer a"}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, NewCertificateForNewConnections) {
  const auto before = Stub();
  ASSERT_TRUE(Ask(*before, {"Bearer a"}).ok());
  // Another root: who trusts only that one sees which certificate is shown.
  pki::Root root = pki::NewRoot();
  const pki::Certificate certificate = root.certificate;
  const auto other = *pki::Authority::Create({.certificates = {certificate},
                                              .key = std::move(root.key),
                                              .roots = {certificate},
                                              .source = "",
                                              .warnings = {}},
                                             "cluster.local", absl::Now());
  ASSERT_TRUE(certificate_.Refresh(other, absl::Now()).ok());
  EXPECT_EQ(Ask(*Stub(), {"Bearer a"}).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  roots_ = certificate.ToPem();
  const grpc::Status status = Ask(*Stub(), {"Bearer a"});
  EXPECT_TRUE(status.ok()) << status.error_message();
  // The old connection lives on.
  EXPECT_TRUE(Ask(*before, {"Bearer a"}).ok());
}

TEST_F(ServerTest, PortInUseIsAnError) {
  const auto second = Server::Start(
      {.listen = {*base::IpAddress::Parse("127.0.0.1"), server_->port()}},
      &service_, &certificate_);
  EXPECT_THAT(std::string(second.status().message()),
              testing::HasSubstr("is the port in use"));
}

TEST_F(ServerTest, DrainedItTakesNoMore) {
  const auto stub = Stub();
  ASSERT_TRUE(Ask(*stub, {"Bearer a"}).ok());
  server_->Drain(absl::Seconds(5));
  EXPECT_EQ(Ask(*stub, {"Bearer a"}).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST(AddressOfPeerTest, WithoutThePort) {
  EXPECT_EQ(AddressOfPeer("ipv4:10.0.0.1:4711"), "10.0.0.1");
  EXPECT_EQ(AddressOfPeer("ipv6:%5Bfd00::1%5D:4711"), "fd00::1");
  EXPECT_EQ(AddressOfPeer("ipv6:%5B::ffff:10.0.0.1%5D:1"), "10.0.0.1");
  EXPECT_EQ(AddressOfPeer("ipv6:[fd00::1]:4711"), "[fd00::1]");
  EXPECT_EQ(AddressOfPeer("unix:"), "unix:");
  EXPECT_EQ(AddressOfPeer(""), "");
}

}  // namespace
}  // namespace nodeward::ca
