// SPDX-License-Identifier: Apache-2.0
#include "tls/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tls/client_hello.h"
#include "tls/pair.h"
#include "tls/raw_peer.h"

namespace nodeward::tls {
namespace {

using testing::HasSubstr;

class ContextTest : public TlsTest {
 protected:
  End Server() {
    End end;
    end.session = MakeSession(
        MakeContext(Role::kServer, server_credential, server_bundle));
    return end;
  }
};

TEST_F(ContextTest, NeedsACredentialAndRoots) {
  EXPECT_FALSE(Context::Create(Role::kClient, {}, nullptr, client_bundle).ok());
  EXPECT_FALSE(
      Context::Create(Role::kClient, {}, client_credential, nullptr).ok());
  EXPECT_FALSE(
      Context::Create(Role::kClient, {}, client_credential,
                      std::make_shared<pki::TrustBundle>(
                          pki::TrustBundle{"cluster.local", {}, {}, 1}))
          .ok());
}

TEST_F(ContextTest, RefusesAKeyOfAnotherCertificate) {
  const auto mixed = std::make_shared<pki::Credential>(
      pki::Credential{Id("a"),
                      {client_credential->leaf()},
                      *pki::PrivateKey::GenerateP256(),
                      1});
  const auto context = Context::Create(Role::kServer, {}, mixed, client_bundle);
  ASSERT_FALSE(context.ok());
  EXPECT_THAT(std::string(context.status().message()),
              HasSubstr("spiffe://cluster.local/ns/full/sa/a"));
}

TEST_F(ContextTest, KeepsWhatItWasMadeOf) {
  const auto context =
      MakeContext(Role::kServer, server_credential, server_bundle);
  EXPECT_EQ(context->role(), Role::kServer);
  EXPECT_EQ(&context->credential(), server_credential.get());
  EXPECT_EQ(&context->bundle(), server_bundle.get());
}

TEST_F(ContextTest, SpeaksTls13Only) {
  End server = Server();
  RawPeer old(
      {.credential = client_credential.get(), .max_version = TLS1_2_VERSION});
  old.Talk(server);
  EXPECT_EQ(server.step, Step::kFailed);
  EXPECT_THAT(server.error(), HasSubstr("unsupported protocol"));
}

TEST_F(ContextTest, TakesBothSuitesAndPrefersTheFasterOne) {
  const std::pair<const char*, const char*> cases[] = {
      {"TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"},
      {"TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"},
      {"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
       "TLS_AES_128_GCM_SHA256"},
      {"TLS_CHACHA20_POLY1305_SHA256", nullptr}};
  for (const auto& [offered, chosen] : cases) {
    End server = Server();
    RawPeer peer({.credential = client_credential.get(), .suites = offered});
    peer.Talk(server);
    EXPECT_EQ(server.session->established(), chosen != nullptr) << offered;
    if (chosen != nullptr) {
      EXPECT_STREQ(SSL_get_cipher_name(peer.ssl()), chosen);
    }
  }
}

TEST_F(ContextTest, TakesX25519AndP256) {
  for (const auto& [groups, taken] :
       {std::pair("X25519", true), std::pair("P-256", true),
        std::pair("P-521:P-256", true), std::pair("P-384", false)}) {
    End server = Server();
    RawPeer peer({.credential = client_credential.get(), .groups = groups});
    peer.Talk(server);
    EXPECT_EQ(server.session->established(), taken) << groups;
  }
}

TEST_F(ContextTest, ClientsSendNoServerName) {
  Pair pair = MakePair();
  pair.client.Turn();
  const Sniffed hello = SniffClientHello(pair.client.session->output());
  ASSERT_EQ(hello.kind, Sniffed::Kind::kTls);
  EXPECT_EQ(hello.server_name, "");
  EXPECT_EQ(hello.alpn, std::vector<std::string>{"h2"});
}

TEST_F(ContextTest, OffersNoResumption) {
  End server = Server();
  RawPeer peer({.credential = client_credential.get()});
  peer.Talk(server);
  ASSERT_TRUE(server.session->established());
  EXPECT_EQ(SSL_SESSION_is_resumable(SSL_get0_session(peer.ssl())), 0);
}

TEST_F(ContextTest, ServesManySessions) {
  const auto server =
      MakeContext(Role::kServer, server_credential, server_bundle);
  const auto client =
      MakeContext(Role::kClient, client_credential, client_bundle);
  for (int i = 0; i < 20; ++i) {
    Pair pair;
    pair.client.session = MakeSession(client, expected);
    pair.server.session = MakeSession(server);
    pair.Run();
    EXPECT_TRUE(pair.established());
  }
}

}  // namespace
}  // namespace nodeward::tls
