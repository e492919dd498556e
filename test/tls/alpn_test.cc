// SPDX-License-Identifier: Apache-2.0
#include "tls/alpn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tls/pair.h"
#include "tls/raw_peer.h"

namespace nodeward::tls {
namespace {

using testing::HasSubstr;
using Alpn = Context::Options::Alpn;

class AlpnTest : public TlsTest {
 protected:
  // What our server selects for a client that offers `offered` (wire format);
  // empty when it refuses.
  std::string Selected(Alpn kind, const std::string& offered) {
    End server;
    server.session = MakeSession(MakeContext(Role::kServer, server_credential,
                                             server_bundle, {.alpn = kind}));
    RawPeer peer({.credential = client_credential.get(), .alpn = offered});
    peer.Talk(server);
    EXPECT_EQ(server.session->established(), server.step != Step::kFailed);
    if (!server.session->established()) {
      EXPECT_THAT(server.error(), HasSubstr("TLS handshake: "));
      return "";
    }
    return server.session->alpn();
  }
};

TEST_F(AlpnTest, HboneTakesH2Alone) {
  EXPECT_EQ(Selected(Alpn::kH2, "\x02h2"), "h2");
  EXPECT_EQ(Selected(Alpn::kH2, "\x08http/1.1\x02h2"), "h2");
  EXPECT_EQ(Selected(Alpn::kH2, "\x08http/1.1"), "");
  EXPECT_EQ(Selected(Alpn::kH2, "\x05istio"), "");
  EXPECT_EQ(Selected(Alpn::kH2, ""), "");
}

TEST_F(AlpnTest, TheServicePortTakesIstioAndItsKin) {
  for (const char* name : {"istio", "istio-peer-exchange", "istio-http/1.0",
                           "istio-http/1.1", "istio-h2"}) {
    const std::string wire =
        std::string(1, static_cast<char>(strlen(name))) + name;
    EXPECT_EQ(Selected(Alpn::kIstio, wire), name);
    EXPECT_EQ(Selected(Alpn::kIstio, "\x02h2" + wire), name);
  }
  EXPECT_EQ(Selected(Alpn::kIstio, "\x02h2"), "");
  EXPECT_EQ(Selected(Alpn::kIstio, ""), "");
}

TEST_F(AlpnTest, PlainIstioIsPreferredToPeerExchange) {
  EXPECT_EQ(Selected(Alpn::kIstio, "\x13istio-peer-exchange\x05istio"),
            "istio");
  EXPECT_EQ(Selected(Alpn::kIstio, "\x0eistio-http/1.1\x05istio"), "istio");
}

TEST_F(AlpnTest, OurClientAndServerAgreeOnEither) {
  for (const Alpn kind : {Alpn::kH2, Alpn::kIstio}) {
    client_options.alpn = server_options.alpn = kind;
    const Pair pair = Connected();
    EXPECT_EQ(pair.client.session->alpn(), OfferedAlpn(kind));
  }
}

TEST_F(AlpnTest, AMismatchFailsOnBothSides) {
  server_options.alpn = Alpn::kIstio;
  Pair pair = MakePair();
  pair.Run();
  EXPECT_EQ(pair.client.step, Step::kFailed);
  EXPECT_EQ(pair.server.step, Step::kFailed);
  EXPECT_EQ(pair.client.error(),
            "TLS: the peer gave up (alert: no application protocol)");
}

TEST_F(AlpnTest, OurClientInsistsOnASelection) {
  End client;
  client.session = MakeSession(
      MakeContext(Role::kClient, client_credential, client_bundle), expected);
  RawPeer silent(
      {.server = true, .credential = server_credential.get(), .alpn = ""});
  silent.Talk(client);
  EXPECT_EQ(client.step, Step::kFailed);
  EXPECT_FALSE(client.session->established());
  EXPECT_EQ(client.error(), "negotiate ALPN: the peer did not select h2");
  EXPECT_EQ(silent.received, "");
}

TEST_F(AlpnTest, OurClientTakesNothingItDidNotOffer) {
  End client;
  client.session = MakeSession(
      MakeContext(Role::kClient, client_credential, client_bundle), expected);
  RawPeer odd(
      {.server = true, .credential = server_credential.get(), .alpn = ""});
  SSL_CTX_set_alpn_select_cb(
      SSL_get_SSL_CTX(odd.ssl()),
      [](SSL*, const unsigned char** out, unsigned char* size,
         const unsigned char*, unsigned int, void*) {
        static constexpr unsigned char kOther[] = "http/1.1";
        *out = kOther;
        *size = 8;
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  odd.Talk(client);
  EXPECT_EQ(client.step, Step::kFailed);
  EXPECT_FALSE(client.session->established());
}

}  // namespace
}  // namespace nodeward::tls
