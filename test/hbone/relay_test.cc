// SPDX-License-Identifier: Apache-2.0
#include "hbone/relay.h"

#include <gtest/gtest.h>

#include <optional>

#include "hbone/channel.h"
#include "hbone/tcp.h"
#include "io/socket.h"

namespace nodeward::hbone {
namespace {

const base::Endpoint kLoopback{base::IpAddress::V4(htonl(INADDR_LOOPBACK)), 0};

// Two TCP connections over loopback with a relay between them, on a thread.
class RelayTest : public ::testing::Test, public RelayUser {
 protected:
  RelayTest()
      : loop_(*io::Loop::Create()),
        workshop_(loop_.get()),
        left_(&workshop_, nullptr),
        right_(&workshop_, nullptr),
        relay_(&workshop_, &left_, &right_, this) {
    auto [client, near] = Pair();
    auto [server, far] = Pair();
    client_.emplace(std::move(client));
    server_.emplace(std::move(server));
    EXPECT_TRUE(left_.Open(std::move(near), false).ok());
    EXPECT_TRUE(right_.Open(std::move(far), false).ok());
    loop_->Post([this] { relay_.Start(); });
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~RelayTest() override {
    loop_->Stop();
    thread_.join();
  }
  // A blocking end and a non-blocking one for the engine.
  static std::pair<Tcp, base::Fd> Pair() {
    const base::Fd listener = ListenOn(kLoopback);
    const auto at = *io::LocalEndpoint(listener.get());
    base::Fd client = ConnectFrom(kLoopback, at);
    base::Endpoint peer;
    std::optional<base::Fd> accepted;
    EXPECT_TRUE(Await([&] {
      accepted = io::Accept(listener.get(), &peer);
      return accepted.has_value();
    }));
    return {Tcp(std::move(client)), std::move(*accepted)};
  }
  void OnRelayEnd(RelayEnd end) override {
    if (end == RelayEnd::kReset) {
      left_.Reset();
      right_.Reset();
    } else {
      left_.Close();
      right_.Close();
    }
    end_ = static_cast<int>(end);
  }
  bool EndsWith(RelayEnd end) {
    return Await([&] { return end_.load() == static_cast<int>(end); });
  }

  std::unique_ptr<io::Loop> loop_;
  Workshop workshop_;
  TcpChannel left_;
  TcpChannel right_;
  Relay relay_;
  std::optional<Tcp> client_;
  std::optional<Tcp> server_;
  std::atomic<int> end_{-1};
  std::thread thread_;
};

TEST_F(RelayTest, CarriesBothDirectionsToTheirOwnEnd) {
  ASSERT_TRUE(client_->Send("question"));
  EXPECT_EQ(server_->Receive(8), "question");
  client_->Finish();
  EXPECT_EQ(server_->AwaitEnd(), Ending::kFin);
  ASSERT_TRUE(server_->Send("answer"));
  server_->Finish();
  EXPECT_EQ(client_->Receive(100), "answer");
  EXPECT_TRUE(EndsWith(RelayEnd::kClosed));
  EXPECT_EQ(relay_.bytes_sent(), 8u);
  EXPECT_EQ(relay_.bytes_received(), 6u);
}

TEST_F(RelayTest, FinThatComesWithTheBytesIsSeen) {
  ASSERT_TRUE(client_->Send("last words"));
  client_->Finish();
  EXPECT_EQ(server_->Receive(100), "last words");
}

TEST_F(RelayTest, AnIdleConnectionsResetIsPassedOn) {
  ASSERT_TRUE(client_->Send("x"));
  EXPECT_EQ(server_->Receive(1), "x");
  client_->Reset();
  EXPECT_EQ(server_->AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(EndsWith(RelayEnd::kReset));
}

TEST_F(RelayTest, BytesBeforeAResetArrive) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client_->Send("0123456789"));
  EXPECT_EQ(server_->Receive(200).size(), 200u);
  ASSERT_TRUE(client_->Send("more"));
  EXPECT_EQ(server_->Receive(4), "more");
  client_->Reset();
  EXPECT_EQ(server_->AwaitEnd(), Ending::kReset);
}

TEST_F(RelayTest, ASleepingReaderStopsTheWriterAndBoundsTheMemory) {
  const uint64_t taken = client_->FillUp(uint64_t{300} << 20, 500);
  EXPECT_LT(taken, uint64_t{64} << 20);
  EXPECT_LE(workshop_.blocks().held(), Relay::kLimit);
  client_->Finish();
  uint64_t count = 0;
  EXPECT_EQ(server_->AwaitEnd(&count), Ending::kFin);
  EXPECT_EQ(count, taken);
  EXPECT_EQ(workshop_.blocks().held(), 0u);
}

TEST_F(RelayTest, AResetBehindASleepingReaderIsNoticed) {
  client_->FillUp(uint64_t{300} << 20, 500);
  client_->Reset();
  EXPECT_TRUE(EndsWith(RelayEnd::kReset));
}

TEST_F(RelayTest, TheReadersResetStopsTheWriter) {
  ASSERT_TRUE(client_->Send("x"));
  EXPECT_EQ(server_->Receive(1), "x");
  server_->Reset();
  EXPECT_EQ(client_->AwaitEnd(), Ending::kReset);
}

}  // namespace
}  // namespace nodeward::hbone
