// SPDX-License-Identifier: Apache-2.0
#include "io/socket.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>

namespace nodeward::io {
namespace {

// A connected pair over loopback TCP.
struct Pair {
  base::Fd client, server;
  base::Endpoint listener;
};

base::Fd Listen(base::Endpoint* at) {
  base::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_storage address;
  const socklen_t length =
      base::Endpoint{base::IpAddress::V4(htonl(INADDR_LOOPBACK)), 0}.ToSockaddr(
          &address);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(listen(fd.get(), 8), 0);
  *at = *LocalEndpoint(fd.get());
  return fd;
}

bool Await(int fd, short events) {
  pollfd p{fd, events, 0};
  return poll(&p, 1, 20'000) == 1;
}

Pair Connect() {
  Pair pair;
  base::Fd listener = Listen(&pair.listener);
  pair.client.Reset(
      socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(StartConnect(pair.client.get(), pair.listener).ok());
  EXPECT_TRUE(Await(listener.get(), POLLIN));
  base::Endpoint peer;
  auto accepted = Accept(listener.get(), &peer);
  EXPECT_TRUE(accepted.has_value());
  pair.server = *std::move(accepted);
  EXPECT_TRUE(Await(pair.client.get(), POLLOUT));
  EXPECT_TRUE(ConnectResult(pair.client.get()).ok());
  EXPECT_EQ(*LocalEndpoint(pair.client.get()), peer);
  EXPECT_EQ(*PeerEndpoint(pair.client.get()), pair.listener);
  return pair;
}

TEST(Socket, WriteGatheredKeepsTheOrder) {
  Pair pair = Connect();
  const std::array<base::ByteSpan, 3> pieces = {
      base::AsBytes("one "), base::AsBytes("two "), base::AsBytes("three")};
  EXPECT_EQ(WriteGathered(pair.client.get(), pieces).count, 13u);
  ASSERT_TRUE(Await(pair.server.get(), POLLIN));
  std::array<uint8_t, 32> buffer;
  const Transfer read = Read(pair.server.get(), buffer);
  EXPECT_EQ(base::AsText({buffer.data(), read.count}), "one two three");
}

TEST(Socket, AcceptTellsWhyThereIsNone) {
  base::Endpoint at;
  const base::Fd listener = Listen(&at);
  base::Endpoint peer;
  int error = 0;
  EXPECT_FALSE(Accept(listener.get(), &peer, &error).has_value());
  EXPECT_EQ(error, EAGAIN);
}

TEST(Socket, ReadTellsBytesWouldBlockAndEndApart) {
  Pair pair = Connect();
  std::array<uint8_t, 16> buffer;
  EXPECT_EQ(Read(pair.server.get(), buffer).progress, Progress::kWouldBlock);
  EXPECT_EQ(Write(pair.client.get(), base::AsBytes("hello")).count, 5u);
  ASSERT_TRUE(Await(pair.server.get(), POLLIN));
  Transfer peeked = Peek(pair.server.get(), buffer);
  EXPECT_EQ(peeked.count, 5u);
  Transfer read = Read(pair.server.get(), buffer);
  EXPECT_EQ(read.progress, Progress::kBytes);
  EXPECT_EQ(base::AsText({buffer.data(), read.count}), "hello");
  FinishWriting(pair.client.get());
  ASSERT_TRUE(Await(pair.server.get(), POLLIN));
  EXPECT_EQ(Read(pair.server.get(), buffer).progress, Progress::kEnd);
  // The other half still carries.
  EXPECT_EQ(Write(pair.server.get(), base::AsBytes("bye")).count, 3u);
}

TEST(Socket, ResetAndCloseSendsRst) {
  Pair pair = Connect();
  ResetAndClose(std::move(pair.server));
  ASSERT_TRUE(Await(pair.client.get(), POLLIN));
  std::array<uint8_t, 16> buffer;
  const Transfer read = Read(pair.client.get(), buffer);
  EXPECT_EQ(read.progress, Progress::kReset);
  EXPECT_EQ(read.error, ECONNRESET);
}

TEST(Socket, ARefusedConnectSaysSo) {
  base::Endpoint nobody;
  { base::Fd closed = Listen(&nobody); }
  base::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  base::Status status = StartConnect(fd.get(), nobody);
  if (status.ok()) {
    ASSERT_TRUE(Await(fd.get(), POLLOUT));
    status = ConnectResult(fd.get());
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

TEST(Socket, AcceptOfAnEmptyQueueIsNoValue) {
  base::Endpoint at, peer;
  base::Fd listener = Listen(&at);
  EXPECT_FALSE(Accept(listener.get(), &peer).has_value());
}

}  // namespace
}  // namespace nodeward::io
