// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace nodeward::http {

// Bytes on their way from one peer to the other, in order. What comes is
// borrowed first, so that bytes that can go on at once are copied only where
// they go; Hold keeps the rest. Bounded by the window that the sender was
// given. Holds no memory while it is empty.
class Pipe {
 public:
  // Adds bytes that stay valid until the next Hold or Clear.
  void Add(base::ByteSpan bytes);
  // Copies what is borrowed: the caller's memory is free again.
  void Hold();
  // Fills `room` from the front. REQUIRES: room.size() <= size().
  void Take(base::MutableByteSpan room);
  void Clear();

  size_t size() const { return held() + borrowed_; }
  // What was copied and is still there.
  size_t held() const { return held_.size() - taken_; }

 private:
  std::string held_;
  size_t taken_ = 0;  // of held_
  std::vector<base::ByteSpan> pieces_;
  size_t borrowed_ = 0;  // in pieces_
};

}  // namespace nodeward::http
