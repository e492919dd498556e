// SPDX-License-Identifier: Apache-2.0
#include "http/pipe.h"

#include <algorithm>
#include <cstring>

namespace nodeward::http {

void Pipe::Add(base::ByteSpan bytes) {
  if (bytes.empty()) return;
  pieces_.push_back(bytes);
  borrowed_ += bytes.size();
}

void Pipe::Hold() {
  for (const base::ByteSpan piece : pieces_) held_ += base::AsText(piece);
  pieces_ = {};
  borrowed_ = 0;
}

void Pipe::Take(base::MutableByteSpan room) {
  const size_t count = std::min(room.size(), held());
  if (count > 0) {
    std::memcpy(room.data(), held_.data() + taken_, count);
    taken_ += count;
    room = room.subspan(count);
    if (taken_ == held_.size()) {
      held_ = {};
      taken_ = 0;
    } else if (taken_ * 2 >= held_.size()) {
      // Half at a time, or each small read would move all that follows.
      held_.erase(0, taken_);
      taken_ = 0;
    }
  }
  size_t gone = 0;
  while (!room.empty()) {
    base::ByteSpan& piece = pieces_[gone];
    const size_t part = std::min(room.size(), piece.size());
    std::memcpy(room.data(), piece.data(), part);
    room = room.subspan(part);
    borrowed_ -= part;
    piece = piece.subspan(part);
    if (piece.empty()) ++gone;
  }
  pieces_.erase(pieces_.begin(),
                pieces_.begin() + static_cast<std::ptrdiff_t>(gone));
}

void Pipe::Clear() {
  held_ = {};
  taken_ = 0;
  pieces_ = {};
  borrowed_ = 0;
}

}  // namespace nodeward::http
