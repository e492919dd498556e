// SPDX-License-Identifier: Apache-2.0
#include "pki/peer_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "pki/forge.h"
#include "pki/revoke.h"

namespace nodeward::pki {
namespace {

using testing::HasSubstr;

class PeerVerifierTest : public testing::Test {
 protected:
  // What the verifier of `bundle` makes of `peer`; "" when it is taken.
  std::string Refusal(const Credential& peer, bool open_already = false) {
    auto verifier =
        PeerVerifier::Create(std::make_shared<const TrustBundle>(bundle));
    EXPECT_TRUE(verifier.ok()) << verifier.status();
    STACK_OF(X509)* others = sk_X509_new_null();
    for (size_t i = 1; i < peer.chain.size(); ++i) {
      sk_X509_push(others, peer.chain[i].native());
    }
    const Presented shown{peer.leaf().native(), others, true};
    int code = X509_V_OK;
    const base::Status status =
        open_already ? (*verifier)->CheckAgain(shown)
                     : (*verifier)->Verify(shown, &code).status();
    EXPECT_TRUE(open_already || status.ok() == (code == X509_V_OK));
    sk_X509_free(others);
    return std::string(status.message());
  }

  const Root root = NewRoot();
  const Root other = NewRoot("other.example");
  TrustBundle bundle{"cluster.local", {"old.example"}, {root.certificate}, 1};
};

TEST_F(PeerVerifierTest, TakesOursAndItsAliases) {
  EXPECT_EQ(Refusal(*NewCredential(root, Id("a"))), "");
  EXPECT_EQ(Refusal(*NewCredential(root, Id("a", "old.example"))), "");
  EXPECT_THAT(Refusal(*NewCredential(other, Id("a"))),
              HasSubstr("not among the trusted roots"));
}

TEST_F(PeerVerifierTest, SeveralRootsAtOnce) {
  const Root second = NewRoot();
  bundle.roots.push_back(second.certificate);
  EXPECT_EQ(Refusal(*NewCredential(root, Id("a"))), "");
  EXPECT_EQ(Refusal(*NewCredential(second, Id("a"))), "");
  bundle.roots.erase(bundle.roots.begin());
  EXPECT_THAT(Refusal(*NewCredential(root, Id("a")), true),
              HasSubstr("not among the trusted roots"));
  EXPECT_EQ(Refusal(*NewCredential(second, Id("a")), true), "");
}

// The trap of a union of all roots: one domain's CA naming another's workload.
TEST_F(PeerVerifierTest, ARootVouchesForItsOwnDomainOnly) {
  bundle.federation["other.example"] = {other.certificate};
  EXPECT_EQ(Refusal(*NewCredential(other, Id("a", "other.example"))), "");
  EXPECT_THAT(Refusal(*NewCredential(other, Id("a", "cluster.local"))),
              HasSubstr("not among the trusted roots"));
  EXPECT_THAT(Refusal(*NewCredential(root, Id("a", "other.example"))),
              HasSubstr("not among the trusted roots"));
  EXPECT_THAT(Refusal(*NewCredential(other, Id("a", "third.example"))),
              HasSubstr("third.example"));
  // Trusted no longer: an empty set, not the absence of a rule.
  bundle.federation["other.example"].clear();
  EXPECT_NE(Refusal(*NewCredential(other, Id("a", "other.example")), true), "");
}

TEST_F(PeerVerifierTest, TwoLevels) {
  const Root between = Intermediate(root);
  auto peer = NewCredential(between, Id("a"));
  Credential shown{peer->identity,
                   {peer->leaf(), between.certificate},
                   *PrivateKey::GenerateP256(),
                   1};
  EXPECT_EQ(Refusal(shown), "");
  // The chain is the peer's to show.
  EXPECT_NE(Refusal(*peer), "");
  // A bundle may hold the intermediate itself.
  bundle.roots = {between.certificate};
  EXPECT_EQ(Refusal(*peer), "");
}

TEST_F(PeerVerifierTest, DatesCountForHandshakesOnly) {
  const auto old = ForgedCredential(
      root, Id("a"),
      {.names = "critical,URI:spiffe://cluster.local/ns/full/sa/a",
       .not_after = absl::Now() - absl::Seconds(10)});
  EXPECT_THAT(Refusal(*old), HasSubstr("expired on"));
  EXPECT_EQ(Refusal(*old, true), "");
}

TEST_F(PeerVerifierTest, WhatIsRevokedIsRefused) {
  const auto good = NewCredential(root, Id("a"));
  const auto bad = NewCredential(root, Id("b"));
  bundle.revocations = {Revoke(root, {&bad->leaf()})};
  EXPECT_EQ(Refusal(*good), "");
  EXPECT_THAT(Refusal(*bad), HasSubstr("was revoked by"));
  EXPECT_THAT(Refusal(*bad, true), HasSubstr("was revoked by"));
  // An old list still says what it says.
  bundle.revocations = {Revoke(root, {&bad->leaf()}, -absl::Hours(1))};
  EXPECT_EQ(Refusal(*good), "");
  EXPECT_THAT(Refusal(*bad), HasSubstr("was revoked by"));
  // One that another CA made says nothing about this CA's.
  Root impostor = NewRoot();
  bundle.revocations = {Revoke(impostor, {&bad->leaf()})};
  EXPECT_EQ(Refusal(*bad), "");
  // Beside it the true one counts, though both have the same name.
  bundle.revocations.push_back(Revoke(root, {&bad->leaf()}));
  EXPECT_THAT(Refusal(*bad), HasSubstr("was revoked by"));
}

TEST_F(PeerVerifierTest, ARevokedIntermediateTakesItsLeavesAlong) {
  const Root between = Intermediate(root);
  auto peer = NewCredential(between, Id("a"));
  Credential shown{peer->identity,
                   {peer->leaf(), between.certificate},
                   *PrivateKey::GenerateP256(),
                   1};
  bundle.revocations = {Revoke(root, {&between.certificate})};
  EXPECT_THAT(Refusal(shown), HasSubstr("was revoked by"));
}

TEST_F(PeerVerifierTest, ARequiredListThatIsMissingOrOldRefuses) {
  const auto peer = NewCredential(root, Id("a"));
  bundle.revocation_required = true;
  EXPECT_THAT(Refusal(*peer), HasSubstr("not there, and one is required"));
  bundle.revocations = {Revoke(root, {}, -absl::Hours(1))};
  EXPECT_THAT(Refusal(*peer), HasSubstr("out of date"));
  bundle.revocations = {Revoke(root, {})};
  EXPECT_EQ(Refusal(*peer), "");
}

TEST_F(PeerVerifierTest, WhatTakesTrustAway) {
  const TrustBundle before = bundle;
  EXPECT_FALSE(TakesTrustAway(before, bundle));
  bundle.roots.push_back(other.certificate);
  EXPECT_FALSE(TakesTrustAway(before, bundle));
  EXPECT_TRUE(TakesTrustAway(bundle, before));
  bundle = before;
  bundle.federation["other.example"] = {other.certificate};
  EXPECT_FALSE(TakesTrustAway(before, bundle));
  EXPECT_TRUE(TakesTrustAway(bundle, before));
  bundle = before;
  bundle.revocations = {Revoke(root, {})};
  EXPECT_TRUE(TakesTrustAway(before, bundle));
  bundle = before;
  bundle.aliases.clear();
  EXPECT_TRUE(TakesTrustAway(before, bundle));
  bundle = before;
  bundle.revocation_required = true;
  EXPECT_TRUE(TakesTrustAway(before, bundle));
}

}  // namespace
}  // namespace nodeward::pki
