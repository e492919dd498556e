// SPDX-License-Identifier: Apache-2.0
#include "ca/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ca/pods_fixture.h"
#include "pki/chain.h"
#include "pki/csr.h"
#include "pki/forge.h"

namespace nodeward::ca {
namespace {

using testing::HasSubstr;

class FakeAuthenticator final : public Authenticator {
 public:
  base::StatusOr<Caller> Authenticate(const std::string& token) override {
    if (token == "own") return Caller{"mesh", "on-a", "", "", ""};
    if (token == "agent") return Caller{"sys", "agent", "", "", "node-a"};
    return absl::UnauthenticatedError("no");
  }
  std::string Description() const override { return "fake"; }
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    pki::Root root = pki::NewRoot();
    const pki::Certificate certificate = root.certificate;
    const pki::Root issuer = *pki::MakeIntermediate(
        root, "cluster.local", "i",
        {.not_before = now_, .not_after = now_ + absl::Hours(48)});
    authority_ = *pki::Authority::Create(
        {.certificates = {issuer.certificate},
         .key = *pki::PrivateKey::ParsePem(*issuer.key.ToPem()),
         .roots = {certificate, pki::NewRoot().certificate},
         .source = "",
         .warnings = {}},
        "cluster.local", now_);
    service_.SetPods(MakePods({Pod("on-a", "node-a"), Pod("on-b", "node-b")}));
  }
  Request Ask(const std::string& account, const std::string& token) {
    return {.csr = *pki::MakeCsr(key_, {"cluster.local", "mesh", account}),
            .lifetime = absl::ZeroDuration(),
            .impersonated = "",
            .token = token,
            .peer = "10.0.0.1"};
  }
  Request AskFor(const std::string& account) {
    Request request = Ask(account, "agent");
    request.impersonated = "spiffe://cluster.local/ns/mesh/sa/" + account;
    return request;
  }
  pki::Certificate Leaf(const Request& request) {
    const auto chain = service_.Create(request);
    EXPECT_TRUE(chain.ok()) << chain.status();
    return *pki::Certificate::ParsePem(chain->front());
  }
  void ExpectRefused(const Request& request, absl::StatusCode code,
                     const std::string& why) {
    const base::Status status = service_.Create(request).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }

  absl::Time now_ = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  const pki::PrivateKey key_ = *pki::PrivateKey::GenerateP256();
  std::shared_ptr<const pki::Authority> authority_;
  FakeAuthenticator authenticator_;
  const Authorizer authorizer_{{"cluster.local", {{"sys", "agent"}}}};
  observe::CaMetrics metrics_{"test"};
  Service service_{{.lifetime = absl::Hours(24),
                    .max_lifetime = absl::Hours(36),
                    .clock_skew = absl::Seconds(20),
                    .per_caller = {.rate = 0.001, .burst = 5},
                    .clock = [this] { return now_; }},
                   [this] { return authority_; },
                   &authenticator_,
                   &authorizer_,
                   &metrics_};
};

TEST_F(ServiceTest, LeafIntermediateAndAllRootsInTheLastElement) {
  const auto chain = service_.Create(Ask("on-a", "own"));
  ASSERT_TRUE(chain.ok()) << chain.status();
  ASSERT_EQ(chain->size(), 3u);
  pki::Issued issued;
  issued.chain = {*pki::Certificate::ParsePem((*chain)[0]),
                  *pki::Certificate::ParsePem((*chain)[1])};
  issued.roots = *pki::Certificate::ParsePemBundle((*chain)[2]);
  EXPECT_EQ(issued.roots.size(), 2u);
  EXPECT_TRUE(
      pki::CheckIssued(issued, {"cluster.local", "mesh", "on-a"}, key_, now_)
          .ok());
}

TEST_F(ServiceTest, Lifetimes) {
  Request request = Ask("on-a", "own");
  pki::Certificate leaf = Leaf(request);
  EXPECT_EQ(leaf.not_before(), now_ - absl::Seconds(20));
  EXPECT_EQ(leaf.not_after(), now_ + absl::Hours(24));
  request.lifetime = absl::Minutes(1);
  EXPECT_EQ(Leaf(request).not_after(), now_ + absl::Minutes(1));
  request.lifetime = absl::Hours(1000);
  EXPECT_EQ(Leaf(request).not_after(), now_ + absl::Hours(36));
  const absl::Time begin = now_;
  now_ += absl::Hours(40);  // 8 hours of the issuer are left
  EXPECT_EQ(Leaf(request).not_after(), begin + absl::Hours(48));
  now_ += absl::Hours(8);
  ExpectRefused(request, absl::StatusCode::kUnavailable,
                "cert issuer not ready yet");
}

TEST_F(ServiceTest, AgentsAsk) {
  const auto chain = service_.Create(AskFor("on-a"));
  EXPECT_TRUE(chain.ok()) << chain.status();
  ExpectRefused(AskFor("on-b"), absl::StatusCode::kPermissionDenied,
                "no pod with it on node node-a");
  service_.SetPods(nullptr);
  ExpectRefused(AskFor("on-a"), absl::StatusCode::kPermissionDenied,
                "nothing is known of pods");
}

TEST_F(ServiceTest, WordsAndCodes) {
  Request request = Ask("on-a", "own");
  request.token.reset();
  ExpectRefused(request, absl::StatusCode::kUnauthenticated, "missing token");
  request.token = "";
  ExpectRefused(request, absl::StatusCode::kUnauthenticated, "missing token");
  request.token = "wrong";
  ExpectRefused(request, absl::StatusCode::kUnauthenticated, "no");
  request = Ask("on-a", "own");
  request.csr = "";
  ExpectRefused(request, absl::StatusCode::kInvalidArgument,
                "missing certificate signing request");
  request.csr = "junk";
  ExpectRefused(request, absl::StatusCode::kInvalidArgument, "read CSR");
  ExpectRefused(Ask("on-b", "own"), absl::StatusCode::kFailedPrecondition,
                "requested identity did not match provided token: "
                "requested=spiffe://cluster.local/ns/mesh/sa/on-b; "
                "found=spiffe://cluster.local/ns/mesh/sa/on-a");
  request = AskFor("on-a");
  request.csr = Ask("on-b", "agent").csr;
  ExpectRefused(request, absl::StatusCode::kFailedPrecondition,
                "CSR name does not match requested identity");
  authority_ = nullptr;
  ExpectRefused(Ask("on-a", "own"), absl::StatusCode::kUnavailable,
                "cert issuer not ready yet");
  EXPECT_THAT(metrics_.Text(now_),
              HasSubstr("requests_total{code=\"UNAUTHENTICATED\"} 3"));
}

TEST_F(ServiceTest, CallersAreLimitedEachForItself) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(service_.Create(Ask("on-a", "own")).ok());
  }
  ExpectRefused(Ask("on-a", "own"), absl::StatusCode::kResourceExhausted,
                "requests of this caller");
  EXPECT_TRUE(service_.Create(AskFor("on-a")).ok());
}

}  // namespace
}  // namespace nodeward::ca
