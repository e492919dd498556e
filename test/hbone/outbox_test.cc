// SPDX-License-Identifier: Apache-2.0
#include "hbone/outbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "base/fd.h"

namespace nodeward::hbone {
namespace {

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    near_.Reset(fds[0]);
    far_.Reset(fds[1]);
  }
  std::string Drain() {
    std::string all;
    char chunk[1 << 16];
    for (ssize_t n; (n = read(far_.get(), chunk, sizeof(chunk))) > 0;) {
      all.append(chunk, static_cast<size_t>(n));
    }
    return all;
  }
  static std::string Pattern(size_t size) {
    std::string text(size, 0);
    for (size_t i = 0; i < size; ++i) {
      text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
    }
    return text;
  }
  BlockPool pool_;
  base::Fd near_, far_;
};

TEST_F(OutboxTest, WritesInOrderWithoutHoldingAnything) {
  Outbox outbox(&pool_);
  outbox.Gather(base::AsBytes("one "));
  outbox.Gather(base::AsBytes("two"));
  EXPECT_EQ(outbox.size(), 7u);
  const io::Transfer sent = outbox.Flush(near_.get());
  EXPECT_EQ(sent.progress, io::Progress::kBytes);
  EXPECT_EQ(sent.count, 7u);
  EXPECT_EQ(outbox.size(), 0u);
  EXPECT_EQ(pool_.held(), 0u);
  EXPECT_EQ(Drain(), "one two");
}

TEST_F(OutboxTest, KeepsWhatTheSocketDoesNotTake) {
  Outbox outbox(&pool_);
  const std::string all = Pattern(3'000'000);
  std::string received;
  {
    // The memory that was lent goes away after Flush.
    std::string lent = all;
    outbox.Gather(base::AsBytes(lent));
    EXPECT_EQ(outbox.Flush(near_.get()).progress, io::Progress::kWouldBlock);
    lent.assign(lent.size(), '!');
  }
  EXPECT_EQ(pool_.held(), outbox.size());
  while (outbox.size() > 0) {
    received += Drain();
    outbox.Flush(near_.get());
  }
  received += Drain();
  EXPECT_TRUE(received == all);
  EXPECT_EQ(pool_.held(), 0u);
}

TEST_F(OutboxTest, NewBytesComeBehindThoseThatWait) {
  Outbox outbox(&pool_);
  const std::string first = Pattern(1'000'000);
  outbox.Gather(base::AsBytes(first));
  outbox.Flush(near_.get());
  std::string expected = first;
  std::string received;
  for (int i = 0; i < 200; ++i) {
    const std::string piece = Pattern(static_cast<size_t>(i) * 97);
    outbox.Gather(base::AsBytes(piece));
    expected += piece;
    outbox.Flush(near_.get());
    if (i % 5 == 0) received += Drain();
  }
  while (outbox.size() > 0) {
    received += Drain();
    outbox.Flush(near_.get());
  }
  received += Drain();
  EXPECT_TRUE(received == expected);
}

TEST_F(OutboxTest, ManyPiecesAreTakenBeforeAFlush) {
  Outbox outbox(&pool_);
  const std::string all = Pattern(5'000);
  for (size_t i = 0; i < all.size(); i += 10) {
    outbox.Gather(base::AsBytes(std::string_view(all).substr(i, 10)));
  }
  EXPECT_EQ(outbox.Flush(near_.get()).progress, io::Progress::kBytes);
  EXPECT_EQ(Drain(), all);
}

TEST_F(OutboxTest, ABrokenConnectionIsTold) {
  Outbox outbox(&pool_);
  far_.Reset();
  outbox.Gather(base::AsBytes("lost"));
  const io::Transfer sent = outbox.Flush(near_.get());
  EXPECT_EQ(sent.progress, io::Progress::kReset);
  EXPECT_EQ(outbox.size(), 4u);
  outbox.Clear();
  EXPECT_EQ(pool_.held(), 0u);
}

TEST_F(OutboxTest, DestructionGivesTheBlocksBack) {
  {
    Outbox outbox(&pool_);
    const std::string all = Pattern(2'000'000);
    outbox.Gather(base::AsBytes(all));
    outbox.Hold();
    EXPECT_EQ(pool_.held(), 2'000'000u);
  }
  EXPECT_EQ(pool_.held(), 0u);
}

}  // namespace
}  // namespace nodeward::hbone
