// SPDX-License-Identifier: Apache-2.0
#include "tls/peer_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tls/pair.h"
#include "tls/raw_peer.h"

namespace nodeward::tls {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr char kSleep[] =
    "critical,URI:spiffe://cluster.local/ns/full/sa/sleep";
constexpr char kHttpbin[] =
    "critical,URI:spiffe://cluster.local/ns/full/sa/httpbin";

class PeerCheckTest : public TlsTest {
 protected:
  // The server refuses the client: its reason, and the client's reading of the
  // alert, which comes after the client's handshake is complete.
  void ExpectServerRefuses(const std::string& reason,
                           const std::string& alert) {
    Pair pair = MakePair();
    pair.Run();
    EXPECT_EQ(pair.server.step, Step::kFailed);
    EXPECT_FALSE(pair.server.session->established());
    EXPECT_EQ(pair.server.session->peer(), std::nullopt);
    EXPECT_THAT(pair.server.error(), StartsWith("verify peer certificate: "));
    EXPECT_THAT(pair.server.error(), HasSubstr(reason));
    EXPECT_EQ(pair.server.session->error().code(),
              absl::StatusCode::kUnauthenticated);
    EXPECT_TRUE(pair.client.session->established());
    EXPECT_EQ(pair.client.step, Step::kFailed);
    EXPECT_EQ(pair.client.error(),
              "TLS handshake: the peer refused our certificate "
              "spiffe://cluster.local/ns/full/sa/sleep (alert: " +
                  alert + ")");
  }
  void ExpectClientRefuses(const std::string& reason,
                           const std::string& alert) {
    Pair pair = MakePair();
    pair.Run();
    EXPECT_EQ(pair.client.step, Step::kFailed);
    EXPECT_FALSE(pair.client.session->established());
    EXPECT_EQ(pair.client.session->peer(), std::nullopt);
    EXPECT_THAT(pair.client.error(), StartsWith("verify peer certificate: "));
    EXPECT_THAT(pair.client.error(), HasSubstr(reason));
    EXPECT_FALSE(pair.server.session->established());
    EXPECT_EQ(pair.server.step, Step::kFailed);
    EXPECT_THAT(pair.server.error(), HasSubstr("alert: " + alert));
  }
  Credential Forged(const std::string& name, pki::Forgery forgery) {
    if (forgery.names.empty()) forgery.names = name;
    return pki::ForgedCredential(
        root, name == kSleep ? Id("sleep") : Id("httpbin"), forgery);
  }
};

TEST_F(PeerCheckTest, AForeignRootIsRefused) {
  const pki::Root other = pki::NewRoot("other.example");
  client_credential = pki::NewCredential(other, Id("sleep"));
  ExpectServerRefuses(
      "signed by \"O=other.example\", which is not among the trusted roots",
      "unknown CA");
}

TEST_F(PeerCheckTest, AForeignRootIsRefusedByTheClient) {
  server_credential =
      pki::NewCredential(pki::NewRoot("other.example"), Id("httpbin"));
  ExpectClientRefuses("not among the trusted roots", "unknown CA");
}

TEST_F(PeerCheckTest, ARootOfTheSameNameIsNotTheSameRoot) {
  client_credential = pki::NewCredential(pki::NewRoot(), Id("sleep"));
  ExpectServerRefuses("", "unknown CA");
}

TEST_F(PeerCheckTest, AnExpiredCertificateIsRefused) {
  const absl::Time end = absl::FromUnixSeconds(1'700'000'000);
  const pki::Forgery old{.not_before = end - absl::Hours(1), .not_after = end};
  client_credential = Forged(kSleep, old);
  ExpectServerRefuses("expired on 2023-11-14T22:13:20Z", "certificate expired");
}

TEST_F(PeerCheckTest, AnExpiredCertificateIsRefusedByTheClient) {
  const absl::Time end = absl::FromUnixSeconds(1'700'000'000);
  server_credential =
      Forged(kHttpbin, {.not_before = end - absl::Hours(1), .not_after = end});
  ExpectClientRefuses("expired on 2023-11-14T22:13:20Z", "certificate expired");
}

TEST_F(PeerCheckTest, AFutureCertificateIsRefused) {
  client_credential =
      Forged(kSleep, {.not_before = absl::Now() + absl::Minutes(5)});
  ExpectServerRefuses("do the clocks agree?", "bad certificate");
}

TEST_F(PeerCheckTest, AnotherTrustDomainIsRefused) {
  client_credential = pki::ForgedCredential(
      root, Id("sleep"),
      {.names = "critical,URI:spiffe://evil.example/ns/full/sa/sleep"});
  ExpectServerRefuses(
      "identity spiffe://evil.example/ns/full/sa/sleep is of the trust domain "
      "evil.example, which is neither ours (cluster.local)",
      "bad certificate");
}

TEST_F(PeerCheckTest, AnAliasIsTaken) {
  client_credential = pki::NewCredential(root, Id("sleep", "old.example"));
  server_bundle = pki::NewBundle(root, {"old.example"});
  const Pair pair = Connected();
  EXPECT_EQ(pair.server.session->peer(), Id("sleep", "old.example"));
}

// While a trust domain is renamed, the two ends may know each other by
// different names.
TEST_F(PeerCheckTest, TheExpectedIsTakenUnderAnAlias) {
  server_credential = pki::NewCredential(root, Id("httpbin", "old.example"));
  client_bundle = pki::NewBundle(root, {"old.example"});
  EXPECT_EQ(Connected().client.session->peer(), Id("httpbin", "old.example"));
  server_credential = pki::NewCredential(root, Id("other", "old.example"));
  ExpectClientRefuses("is not the expected", "bad certificate");
}

TEST_F(PeerCheckTest, AFederatedDomainIsTakenForItself) {
  const pki::Root foreign = pki::NewRoot("other.example");
  auto bundle = std::make_shared<pki::TrustBundle>(*pki::NewBundle(root));
  bundle->federation["other.example"] = {foreign.certificate};
  server_bundle = bundle;
  client_credential = pki::NewCredential(foreign, Id("sleep", "other.example"));
  EXPECT_EQ(Connected().server.session->peer(), Id("sleep", "other.example"));
  client_credential = pki::NewCredential(foreign, Id("sleep"));
  ExpectServerRefuses("not among the trusted roots", "unknown CA");
}

TEST_F(PeerCheckTest, AnOpenSessionIsCheckedAgain) {
  const Pair pair = Connected();
  const auto same = pki::PeerVerifier::Create(pki::NewBundle(root));
  EXPECT_TRUE(pair.client.session->CheckPeerAgain(**same).ok());
  EXPECT_TRUE(pair.server.session->CheckPeerAgain(**same).ok());
  const auto other = pki::PeerVerifier::Create(pki::NewBundle(pki::NewRoot()));
  for (const End* end : {&pair.client, &pair.server}) {
    EXPECT_THAT(std::string(end->session->CheckPeerAgain(**other).message()),
                testing::HasSubstr("not among the trusted roots"));
  }
}

TEST_F(PeerCheckTest, TwoUriNamesAreRefused) {
  client_credential = Forged(
      kSleep, {.names = std::string(kSleep) + ",URI:https://example.com"});
  ExpectServerRefuses("more than one URI", "bad certificate");
}

TEST_F(PeerCheckTest, NoUriNameIsRefused) {
  client_credential = Forged(kSleep, {.names = "DNS:sleep.full.svc"});
  ExpectServerRefuses("no URI", "bad certificate");
}

TEST_F(PeerCheckTest, ANameOfAnotherFormIsRefused) {
  client_credential =
      Forged(kSleep, {.names = "URI:spiffe://cluster.local/sleep"});
  ExpectServerRefuses("spiffe://cluster.local/sleep", "bad certificate");
}

TEST_F(PeerCheckTest, ADnsNameBesideTheSpiffeIdIsTaken) {
  client_credential =
      Forged(kSleep, {.names = std::string(kSleep) + ",DNS:sleep.full.svc"});
  EXPECT_EQ(Connected().server.session->peer(), Id("sleep"));
}

TEST_F(PeerCheckTest, ACaIsNoWorkload) {
  client_credential = Forged(kSleep, {.basic_constraints = "critical,CA:TRUE"});
  ExpectServerRefuses("", "bad certificate");
}

TEST_F(PeerCheckTest, ASignerIsNoWorkload) {
  client_credential =
      Forged(kSleep, {.key_usage = "critical,digitalSignature,keyCertSign"});
  ExpectServerRefuses("key usage", "bad certificate");
}

TEST_F(PeerCheckTest, TheExtendedKeyUsageMustFitTheSide) {
  client_credential = Forged(kSleep, {.extended_key_usage = "serverAuth"});
  ExpectServerRefuses("purpose", "unsupported certificate");
  client_credential = Forged(kSleep, {});
  server_credential = Forged(kHttpbin, {.extended_key_usage = "clientAuth"});
  ExpectClientRefuses("purpose", "unsupported certificate");
}

TEST_F(PeerCheckTest, AWorkloadSignsForNobody) {
  // A leaf of ours as the CA of another: the oldest trick.
  const pki::PrivateKey stolen = *pki::PrivateKey::GenerateP256();
  const pki::Certificate leaf =
      pki::Forge(root, stolen, {.names = kSleep, .organization = "leaf"});
  const pki::Root signer{leaf, *pki::PrivateKey::ParsePem(*stolen.ToPem())};
  const auto forged =
      pki::ForgedCredential(signer, Id("admin"), {.names = kSleep});
  client_credential = std::make_shared<const pki::Credential>(
      pki::Credential{Id("sleep"),
                      {forged->leaf(), leaf},
                      *pki::PrivateKey::ParsePem(*forged->key.ToPem()),
                      1});
  ExpectServerRefuses("", "unknown CA");
}

TEST_F(PeerCheckTest, AChainThroughAnIntermediateIsTaken) {
  const pki::PrivateKey middle_key = *pki::PrivateKey::GenerateP256();
  const pki::Certificate middle =
      pki::Forge(root, middle_key,
                 {.basic_constraints = "critical,CA:TRUE",
                  .key_usage = "critical,keyCertSign",
                  .extended_key_usage = "",
                  .organization = "middle"});
  const pki::Root signer{middle,
                         *pki::PrivateKey::ParsePem(*middle_key.ToPem())};
  const auto signed_by_it = pki::NewCredential(signer, Id("sleep"));
  client_credential = std::make_shared<const pki::Credential>(
      pki::Credential{Id("sleep"),
                      {signed_by_it->leaf(), middle},
                      *pki::PrivateKey::ParsePem(*signed_by_it->key.ToPem()),
                      1});
  EXPECT_EQ(Connected().server.session->peer(), Id("sleep"));
}

TEST_F(PeerCheckTest, AnotherServerThanTheExpectedIsRefused) {
  expected = {Id("reviews"), Id("ratings")};
  ExpectClientRefuses(
      "identity spiffe://cluster.local/ns/full/sa/httpbin is not the expected "
      "spiffe://cluster.local/ns/full/sa/reviews or "
      "spiffe://cluster.local/ns/full/sa/ratings",
      "bad certificate");
}

TEST_F(PeerCheckTest, AnyOfTheExpectedServersIsTaken) {
  expected = {Id("reviews"), Id("httpbin")};
  EXPECT_EQ(Connected().client.session->peer(), Id("httpbin"));
}

TEST_F(PeerCheckTest, AnExpectedIdentityOfAForeignDomainIsRefused) {
  server_credential = pki::NewCredential(root, Id("httpbin", "evil.example"));
  expected = {Id("httpbin", "evil.example")};
  ExpectClientRefuses("neither ours", "bad certificate");
}

TEST_F(PeerCheckTest, NoCertificateIsRefused) {
  End server;
  server.session =
      MakeSession(MakeContext(Role::kServer, server_credential, server_bundle));
  RawPeer peer({.credential = nullptr});
  peer.Talk(server);
  EXPECT_EQ(server.step, Step::kFailed);
  EXPECT_EQ(server.error(), "verify peer certificate: the peer sent none");
  EXPECT_FALSE(server.session->established());
}

}  // namespace
}  // namespace nodeward::tls
