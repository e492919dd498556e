// SPDX-License-Identifier: Apache-2.0
#include "tls/byte_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace nodeward::tls {
namespace {

constexpr size_t kFirstCapacity = 4096;

}  // namespace

void ByteQueue::Append(base::ByteSpan bytes) {
  if (bytes.empty()) return;
  if (bytes.size() > capacity_ - end_) MakeRoom(bytes.size());
  std::memcpy(memory_.get() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
}

void ByteQueue::Drop(size_t count) {
  begin_ += count;
  if (begin_ == end_) begin_ = end_ = 0;
}

void ByteQueue::Release() {
  if (!empty()) return;
  memory_.reset();
  capacity_ = 0;
}

void ByteQueue::MakeRoom(size_t count) {
  const size_t held = size();
  // Moving in place pays only while at least half of the room is free: each
  // byte is then moved O(1) times.
  if (held + count <= capacity_ / 2) {
    std::memmove(memory_.get(), memory_.get() + begin_, held);
  } else {
    const size_t capacity =
        std::max({kFirstCapacity, 2 * capacity_, 2 * (held + count)});
    auto memory = std::make_unique_for_overwrite<uint8_t[]>(capacity);
    if (held > 0) std::memcpy(memory.get(), memory_.get() + begin_, held);
    memory_ = std::move(memory);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = held;
}

}  // namespace nodeward::tls
