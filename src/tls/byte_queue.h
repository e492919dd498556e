// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace nodeward::tls {

// Bytes in one contiguous piece: appended behind, dropped in front. Grows by
// doubling, is never zeroed, keeps its memory until Release.
class ByteQueue {
 public:
  void Append(base::ByteSpan bytes);
  // REQUIRES: count <= size().
  void Drop(size_t count);
  // Gives the memory back when nothing is queued.
  void Release();

  // Valid until the next Append or Release.
  base::ByteSpan bytes() const { return {memory_.get() + begin_, size()}; }
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  size_t capacity() const { return capacity_; }

 private:
  void MakeRoom(size_t count);

  std::unique_ptr<uint8_t[]> memory_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace nodeward::tls
