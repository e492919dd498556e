// SPDX-License-Identifier: Apache-2.0
#include "tls/byte_queue.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace nodeward::tls {
namespace {

TEST(ByteQueue, KeepsOrderThroughAnyMixOfAppendAndDrop) {
  std::mt19937 random(1);
  ByteQueue queue;
  std::string model;
  char next = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string more(random() % 900, '\0');
    for (char& c : more) c = next++;
    queue.Append(base::AsBytes(more));
    model += more;
    const size_t drop = random() % (model.size() + 1);
    queue.Drop(drop);
    model.erase(0, drop);
    ASSERT_EQ(base::AsText(queue.bytes()), model);
    ASSERT_EQ(queue.size(), model.size());
  }
}

TEST(ByteQueue, GrowsNoFurtherThanItsContentsAsk) {
  ByteQueue queue;
  const std::string block(10'000, 'x');
  queue.Append(base::AsBytes(block));
  for (int i = 0; i < 10'000; ++i) {
    queue.Append(base::AsBytes(block));
    queue.Drop(block.size());
  }
  EXPECT_EQ(queue.size(), block.size());
  EXPECT_LE(queue.capacity(), 8 * block.size());
}

TEST(ByteQueue, ReleasesOnlyWhatIsEmpty) {
  ByteQueue queue;
  queue.Append(base::AsBytes("abc"));
  queue.Release();
  EXPECT_EQ(base::AsText(queue.bytes()), "abc");
  queue.Drop(3);
  EXPECT_TRUE(queue.empty());
  queue.Release();
  EXPECT_EQ(queue.capacity(), 0u);
  queue.Append({});
  EXPECT_EQ(queue.capacity(), 0u);
  queue.Append(base::AsBytes("d"));
  EXPECT_EQ(base::AsText(queue.bytes()), "d");
}

}  // namespace
}  // namespace nodeward::tls
