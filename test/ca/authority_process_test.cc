// SPDX-License-Identifier: Apache-2.0
#include "ca/authority_process.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <functional>
#include <thread>

#include "ca/authority_process_fixture.h"
#include "nodeward/proto/ca.grpc.pb.h"
#include "pki/csr.h"

namespace nodeward::ca {
namespace {

using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;
using istio::v1::auth::IstioCertificateService;
using testing::HasSubstr;

class AuthorityProcessTest : public testing::Test {
 protected:
  // Runs it here until `meanwhile`, on a thread of its own, is done.
  void RunWhile(const std::function<void()>& meanwhile) {
    auto process = AuthorityProcess::Start(files_.Checked());
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    const pthread_t runner = pthread_self();
    std::thread thread([&] {
      meanwhile();
      pthread_kill(runner, SIGTERM);
    });
    process_->Run();
    thread.join();
    process_.reset();
  }
  std::string Get(const std::string& path) {
    return pki::RunCommand(
               "curl -s -g -m 30 --noproxy '*' -w '%{http_code}' http://" +
               process_->admin().ToString() + path)
        .output;
  }
  bool Await(const std::function<bool()>& done) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (absl::Now() < deadline) {
      if (done()) return true;
      absl::SleepFor(absl::Milliseconds(20));
    }
    return false;
  }
  grpc::Status Ask(const std::string& token) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = files_.root_.certificate.ToPem();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub =
        IstioCertificateService::NewStub(grpc::CreateCustomChannel(
            "localhost:" + std::to_string(process_->listen().port),
            grpc::SslCredentials(options), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(30));
    context.AddMetadata("authorization", "Bearer " + token);
    const pki::PrivateKey key = *pki::PrivateKey::GenerateP256();
    IstioCertificateRequest request;
    request.set_csr(*pki::MakeCsr(key, pki::Id("a")));
    return stub->CreateCertificate(&context, request, &response_);
  }
  void ExpectRefusal(const std::string& why) {
    const base::Status status =
        AuthorityProcess::Start(files_.Checked()).status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }

  AuthorityFolder files_;
  IstioCertificateResponse response_;
  std::unique_ptr<AuthorityProcess> process_;
};

TEST_F(AuthorityProcessTest, ServesUntilItIsToldToStop) {
  RunWhile([this] {
    EXPECT_EQ(Get("/healthz/ready"), "ready\n200");
    const grpc::Status good = Ask("token-of-a-0123456789");
    EXPECT_TRUE(good.ok()) << good.error_message();
    EXPECT_EQ(response_.cert_chain_size(), 3);
    EXPECT_EQ(Ask("token-of-b-0123456789").error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_THAT(Get("/metrics"),
                HasSubstr("nodeward_ca_requests_total{code=\"OK\"} 1\n"));
  });
}

TEST_F(AuthorityProcessTest, TakesNewIssuersAndTokensAsItRuns) {
  RunWhile([this] {
    files_.PutIssuer(absl::Hours(24));
    EXPECT_TRUE(Await([this] {
      return Get("/metrics")
                 .find(
                     "nodeward_ca_events_total{reason=\"IssuerUpdated\"} "
                     "1\n") != std::string::npos;
    }));
    files_.PutPrivate("tokens",
                      "token-of-b-0123456789 system:serviceaccount:full:a\n");
    EXPECT_TRUE(Await([this] { return Ask("token-of-b-0123456789").ok(); }));
    EXPECT_FALSE(Ask("token-of-a-0123456789").ok());
    // The last good tokens stay.
    files_.PutPrivate("tokens", "no line of a token file\n");
    EXPECT_TRUE(Ask("token-of-b-0123456789").ok());
  });
}

TEST_F(AuthorityProcessTest, AnIssuerThatHasEndedIsNotReady) {
  files_.PutIssuer(absl::Seconds(4));
  RunWhile([this] {
    EXPECT_TRUE(Await([this] {
      const std::string answer = Get("/healthz/ready");
      return answer.starts_with("not ready\nthe issuer's chain expired on ") &&
             answer.ends_with("503");
    }));
    EXPECT_EQ(Ask("token-of-a-0123456789").error_code(),
              grpc::StatusCode::UNAVAILABLE);
  });
}

TEST_F(AuthorityProcessTest, WithoutAnAdminPortItServesAllTheSame) {
  files_.options_.admin = "";
  RunWhile([this] {
    EXPECT_EQ(process_->admin().port, 0);
    EXPECT_TRUE(Ask("token-of-a-0123456789").ok());
  });
}

TEST_F(AuthorityProcessTest, WhatKeepsItFromStartingIsNamed) {
  const Options good = files_.options_;
  files_.options_.issuer = files_.folder_ / "nowhere";
  ExpectRefusal(files_.folder_ / "nowhere");
  files_.options_ = good;
  files_.options_.token_file = files_.folder_ / "nothing";
  ExpectRefusal(files_.folder_ / "nothing");
  files_.options_ = good;
  files_.options_.manifests = files_.folder_ / "no-manifests";
  ExpectRefusal(files_.folder_ / "no-manifests");
}

TEST_F(AuthorityProcessTest, APortInUseIsNamed) {
  const auto first = AuthorityProcess::Start(files_.Checked());
  ASSERT_TRUE(first.ok()) << first.status();
  files_.options_.listen = (*first)->listen().ToString();
  ExpectRefusal("listen on " + files_.options_.listen);
}

}  // namespace
}  // namespace nodeward::ca
