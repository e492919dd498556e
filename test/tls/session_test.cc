// SPDX-License-Identifier: Apache-2.0
#include "tls/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tls/pair.h"
#include "tls/raw_peer.h"

namespace nodeward::tls {
namespace {

using testing::HasSubstr;

class SessionTest : public TlsTest {};

TEST_F(SessionTest, ShakesHandsAndKnowsItsPeer) {
  const Pair pair = Connected();
  EXPECT_EQ(pair.client.session->peer(), Id("httpbin"));
  EXPECT_EQ(pair.server.session->peer(), Id("sleep"));
  EXPECT_EQ(pair.client.session->alpn(), "h2");
  EXPECT_EQ(pair.server.session->alpn(), "h2");
  EXPECT_EQ(pair.server.session->PeerCertificateHash(),
            client_credential->leaf().Sha256Hex());
  EXPECT_EQ(pair.client.session->PeerCertificate()->not_after(),
            server_credential->leaf().not_after());
}

TEST_F(SessionTest, KnowsNobodyBeforeTheHandshake) {
  const Pair pair = MakePair();
  EXPECT_EQ(pair.client.session->peer(), std::nullopt);
  EXPECT_EQ(pair.client.session->PeerCertificateHash(), "");
  EXPECT_EQ(pair.client.session->PeerCertificate(), std::nullopt);
  EXPECT_EQ(pair.client.session->alpn(), "");
}

TEST_F(SessionTest, ShakesHandsByteByByte) {
  for (const size_t chunk : {1, 2, 7, 100}) {
    Pair pair = MakePair();
    pair.Run(chunk);
    ASSERT_TRUE(pair.established());
    ASSERT_TRUE(pair.client.Write("ping"));
    pair.Run(chunk);
    EXPECT_EQ(pair.server.received, "ping");
    ASSERT_TRUE(pair.server.Write("pong"));
    pair.Run(chunk);
    EXPECT_EQ(pair.client.received, "pong");
  }
}

TEST_F(SessionTest, SendsNothingAfterTheHandshakeButData) {
  Pair pair = Connected();  // no session tickets
  EXPECT_TRUE(pair.server.session->output().empty());
  EXPECT_TRUE(pair.client.session->output().empty());
  EXPECT_EQ(pair.client.received, "");
}

// Bytes of a sequence without a short period, told by their position.
uint8_t ByteAt(uint64_t position) {
  return static_cast<uint8_t>((position * 0x9E3779B97F4A7C15u) >> 56);
}

TEST_F(SessionTest, CarriesAHundredMegabytesInOddSizes) {
  constexpr uint64_t kTotal = 100'000'000;
  Pair pair = Connected();
  Session& from = *pair.client.session;
  Session& to = *pair.server.session;
  std::mt19937 random(7);
  std::vector<uint8_t> plain(70'000);
  std::vector<uint8_t> wire;
  std::vector<uint8_t> read(70'000);
  uint64_t sent = 0;
  uint64_t got = 0;
  while (got < kTotal) {
    const size_t size = static_cast<size_t>(
        std::min<uint64_t>(random() % plain.size(), kTotal - sent));
    for (size_t i = 0; i < size; ++i) plain[i] = ByteAt(sent + i);
    ASSERT_TRUE(from.Write({plain.data(), size}).ok());
    sent += size;
    while (!from.output().empty()) {
      const size_t part =
          std::min<size_t>(1 + random() % 65'536, from.output().size());
      wire.assign(from.output().begin(),
                  from.output().begin() + static_cast<ptrdiff_t>(part));
      from.DropOutput(part);
      to.Feed(wire);
      size_t count = 0;
      while (to.Read({read.data(), 1 + random() % read.size()}, &count) ==
             Step::kDone) {
        ASSERT_GT(count, 0u);
        for (size_t i = 0; i < count; ++i) {
          ASSERT_EQ(read[i], ByteAt(got + i)) << got + i;
        }
        got += count;
      }
      ASSERT_FALSE(to.has_input());
    }
  }
  EXPECT_EQ(got, kTotal);
}

TEST_F(SessionTest, TellsWhenARecordIsLargerThanTheReadersBuffer) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.client.Write("0123456789"));
  const std::string wire(base::AsText(pair.client.session->output()));
  Session& server = *pair.server.session;
  server.Feed(base::AsBytes(wire));
  EXPECT_TRUE(server.has_input());
  uint8_t small[4];
  size_t count = 0;
  ASSERT_EQ(server.Read(small, &count), Step::kDone);
  EXPECT_EQ(base::AsText({small, count}), "0123");
  EXPECT_TRUE(server.has_input());
  ASSERT_EQ(server.Read(small, &count), Step::kDone);
  ASSERT_EQ(server.Read(small, &count), Step::kDone);
  EXPECT_EQ(base::AsText({small, count}), "89");
  EXPECT_EQ(server.Read(small, &count), Step::kWantInput);
  EXPECT_EQ(count, 0u);
  EXPECT_FALSE(server.has_input());
}

TEST_F(SessionTest, OneReadTakesManyRecords) {
  Pair pair = Connected();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(pair.client.Write("abc"));
  pair.server.session->Feed(pair.client.session->output());
  uint8_t buffer[100];
  size_t count = 0;
  ASSERT_EQ(pair.server.session->Read(buffer, &count), Step::kDone);
  EXPECT_EQ(base::AsText({buffer, count}), "abcabcabcabcabc");
}

TEST_F(SessionTest, RetainKeepsWhatTheCallersBufferLoses) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.client.Write("first "));
  ASSERT_TRUE(pair.client.Write("second "));
  ASSERT_TRUE(pair.client.Write("third"));
  std::string wire(base::AsText(pair.client.session->output()));
  Session& server = *pair.server.session;
  // In three feeds, nothing read in between, the memory overwritten each time.
  for (int part = 0; part < 3; ++part) {
    std::string piece = wire.substr(0, wire.size() / 2);
    wire.erase(0, piece.size());
    if (part == 2) piece += std::exchange(wire, "");
    server.Feed(base::AsBytes(piece));
    server.Retain();
    std::fill(piece.begin(), piece.end(), '\xff');
  }
  pair.server.Turn();
  EXPECT_EQ(pair.server.received, "first second third");
}

TEST_F(SessionTest, ATruncatedRecordIsWaitedFor) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.client.Write("abc"));
  const std::string wire(base::AsText(pair.client.session->output()));
  for (size_t cut = 0; cut < wire.size(); ++cut) {
    pair.server.Take(wire.substr(cut, 1));
    EXPECT_EQ(pair.server.step, Step::kWantInput);
    EXPECT_EQ(pair.server.received, cut + 1 < wire.size() ? "" : "abc");
  }
}

TEST_F(SessionTest, EveryFlippedBitIsFound) {
  Pair sample = Connected();
  ASSERT_TRUE(sample.client.Write("abc"));
  const size_t size = sample.client.session->output().size();
  for (size_t position = 0; position < size; ++position) {
    Pair pair = Connected();
    ASSERT_TRUE(pair.client.Write("abc"));
    std::string wire(base::AsText(pair.client.session->output()));
    wire[position] = static_cast<char>(wire[position] ^ (1 << position % 8));
    // A longer length makes it wait for the rest: give it some.
    wire += std::string(1 << 17, 'x');
    pair.server.Take(wire);
    EXPECT_EQ(pair.server.step, Step::kFailed) << position;
    EXPECT_EQ(pair.server.received, "");
    EXPECT_FALSE(pair.server.session->error().ok());
    EXPECT_FALSE(pair.server.session->output().empty()) << "no alert";
    // The client learns of it by the alert.
    Carry(*pair.server.session, pair.client, 1 << 20);
    EXPECT_EQ(pair.client.step, Step::kFailed);
    EXPECT_THAT(pair.client.error(), HasSubstr("alert: "));
  }
}

TEST_F(SessionTest, HalfCloses) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.client.Write("request"));
  pair.client.session->Close();
  pair.client.session->Close();  // the second says nothing more
  EXPECT_FALSE(pair.client.Write("too late"));
  pair.Run();
  EXPECT_EQ(pair.server.received, "request");
  EXPECT_EQ(pair.server.step, Step::kClosed);
  EXPECT_FALSE(pair.server.session->has_input());
  ASSERT_TRUE(pair.server.Write("answer"));
  pair.Run();
  EXPECT_EQ(pair.client.received, "answer");
  EXPECT_EQ(pair.client.step, Step::kWantInput);
  pair.server.session->Close();
  pair.Run();
  EXPECT_EQ(pair.client.step, Step::kClosed);
}

TEST_F(SessionTest, ClosedAndFailedStay) {
  Pair pair = Connected();
  pair.client.session->Close();
  pair.Run();
  EXPECT_EQ(pair.server.step, Step::kClosed);
  pair.server.session->Feed(base::AsBytes("garbage after the end"));
  EXPECT_FALSE(pair.server.session->has_input());
  pair.server.Turn();
  EXPECT_EQ(pair.server.step, Step::kClosed);

  pair.client.session->Feed(base::AsBytes("garbage"));
  pair.client.Turn();
  EXPECT_EQ(pair.client.step, Step::kFailed);
  pair.client.Turn();
  EXPECT_EQ(pair.client.step, Step::kFailed);
  EXPECT_EQ(pair.client.session->Handshake(), Step::kFailed);
  EXPECT_FALSE(pair.client.Write("x"));
}

TEST_F(SessionTest, GarbageInsteadOfAHandshakeFails) {
  std::mt19937 random(3);
  std::string noise(500, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  for (const std::string& garbage :
       {noise, std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        std::string(100'000, '\0')}) {
    Pair pair = MakePair();
    pair.server.Take(garbage);
    EXPECT_EQ(pair.server.step, Step::kFailed);
    EXPECT_THAT(pair.server.error(), HasSubstr("TLS handshake: "));
    EXPECT_FALSE(pair.server.session->established());
    pair.client.Take(garbage);
    EXPECT_EQ(pair.client.step, Step::kFailed);
  }
}

TEST_F(SessionTest, ClosingInTheHandshakeIsAFailure) {
  Pair pair = MakePair();
  pair.client.Turn();
  // The alert close_notify in the clear.
  const uint8_t alert[] = {21, 3, 3, 0, 2, 1, 0};
  pair.client.session->Feed(alert);
  pair.client.Turn();
  EXPECT_EQ(pair.client.step, Step::kFailed);
  EXPECT_THAT(pair.client.error(), HasSubstr("closed before"));
}

TEST_F(SessionTest, ShrinksAndGoesOn) {
  Pair pair = Connected();
  const std::string text(50'000, 'y');
  for (int round = 0; round < 3; ++round) {
    pair.client.session->Shrink();
    pair.server.session->Shrink();
    ASSERT_TRUE(pair.client.Write(text));
    pair.client.session->Shrink();  // with output waiting
    // In the middle of a record.
    const std::string wire(base::AsText(pair.client.session->output()));
    pair.client.session->DropOutput(wire.size());
    pair.server.Take(wire.substr(0, 20'000));
    pair.server.session->Shrink();
    pair.server.Take(wire.substr(20'000));
  }
  EXPECT_TRUE(pair.server.received == text + text + text);
}

TEST_F(SessionTest, AClientMustKnowWhomItExpects) {
  const auto session = Session::Create(
      MakeContext(Role::kClient, client_credential, client_bundle), {});
  EXPECT_FALSE(session.ok());
}

TEST_F(SessionTest, ChangesItsKeyAfterManyRecords) {
  client_options.records_per_key = 10;
  End end;
  end.session = MakeSession(MakeContext(Role::kClient, client_credential,
                                        client_bundle, client_options),
                            expected);
  RawPeer peer(
      {.server = true, .credential = server_credential.get(), .alpn = ""});
  SSL_CTX_set_alpn_select_cb(
      SSL_get_SSL_CTX(peer.ssl()),
      [](SSL*, const unsigned char** out, unsigned char* size,
         const unsigned char* in, unsigned int, void*) {
        *out = in + 1;
        *size = in[0];
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  peer.Talk(end);
  ASSERT_TRUE(end.session->established()) << end.error();
  std::string text;
  for (int i = 0; i < 95; ++i) {
    ASSERT_TRUE(end.Write("abc"));
    text += "abc";
    peer.Talk(end);
  }
  EXPECT_EQ(peer.received, text);
  EXPECT_EQ(peer.key_updates, 9);
}

class KeyUpdateTest : public SessionTest {
 protected:
  KeyUpdateTest() {
    server_.session = MakeSession(
        MakeContext(Role::kServer, server_credential, server_bundle));
    peer_.Talk(server_);
    EXPECT_TRUE(server_.session->established()) << server_.error();
  }
  void AskForUpdate() {
    ASSERT_EQ(SSL_key_update(peer_.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_EQ(SSL_do_handshake(peer_.ssl()), 1);
  }

  End server_;
  RawPeer peer_{{.credential = client_credential.get()}};
};

TEST_F(KeyUpdateTest, AnswersThosePeersAskFor) {
  for (int i = 0; i < 5; ++i) {
    AskForUpdate();
    ASSERT_EQ(SSL_write(peer_.ssl(), "ping", 4), 4);
    peer_.Talk(server_);
    ASSERT_TRUE(server_.Write("pong"));
    peer_.Talk(server_);
  }
  EXPECT_EQ(server_.received, "pingpingpingpingping");
  EXPECT_EQ(peer_.received, "pongpongpongpongpong");
  EXPECT_EQ(peer_.key_updates, 5);
}

TEST_F(KeyUpdateTest, EndsAPeerThatAsksForEverAndReadsNothing) {
  for (int i = 0; i < 5'000 && server_.step != Step::kFailed; ++i) {
    AskForUpdate();
    const std::vector<uint8_t> wire = peer_.TakeOutput();
    server_.Take(base::AsText(wire));
  }
  EXPECT_EQ(server_.step, Step::kFailed);
  EXPECT_THAT(server_.error(), HasSubstr("key updates"));
  EXPECT_LE(server_.session->output().size(), 20'000u);
}

}  // namespace
}  // namespace nodeward::tls
