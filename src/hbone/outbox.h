// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "io/socket.h"

namespace nodeward::hbone {

// 16 KiB of bytes on their way.
struct Block {
  static constexpr size_t kSize = (16 << 10) - 16;
  std::unique_ptr<Block> next;
  uint32_t begin = 0;
  uint32_t end = 0;
  uint8_t bytes[kSize];
};

// The blocks of one worker. A few idle ones are kept, the rest is given back
// to the allocator.
class BlockPool {
 public:
  std::unique_ptr<Block> Take();
  void Give(std::unique_ptr<Block> block);

  // Bytes that lie in the outboxes of this worker. Any thread may ask.
  uint64_t held() const { return held_.load(std::memory_order_relaxed); }
  void AddHeld(int64_t change) {
    // One thread writes: no read-modify-write is needed.
    held_.store(held() + static_cast<uint64_t>(change),
                std::memory_order_relaxed);
  }

 private:
  static constexpr size_t kKeep = 64;
  std::vector<std::unique_ptr<Block>> idle_;
  std::atomic<uint64_t> held_{0};
};

// Bytes on their way to one socket that it has not taken yet, in order. Holds
// no block while it is empty: an idle connection has no buffer. Bounded by its
// user, who stops adding.
class Outbox {
 public:
  // `pool` outlives it.
  explicit Outbox(BlockPool* pool) : pool_(pool) {}
  ~Outbox() { Clear(); }
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Adds bytes that stay valid until the next Flush, Hold or Clear.
  void Gather(base::ByteSpan bytes);
  // Copies what is borrowed: the caller's memory is free again.
  void Hold();
  // Writes until all is gone or the socket takes no more, then holds the rest.
  // kBytes: nothing is left; kWouldBlock: something is; kReset: the connection
  // is broken, and everything is still there. `count` is what went.
  io::Transfer Flush(int fd);
  void Clear();

  size_t size() const { return held_ + borrowed_; }

 private:
  static constexpr size_t kPieces = 4;
  void Copy(base::ByteSpan bytes);
  void Drop(size_t count);

  BlockPool* pool_;
  std::unique_ptr<Block> head_;
  Block* tail_ = nullptr;
  size_t held_ = 0;  // in blocks
  std::array<base::ByteSpan, kPieces> pieces_;
  size_t piece_count_ = 0;
  size_t borrowed_ = 0;  // in pieces_
};

}  // namespace nodeward::hbone
