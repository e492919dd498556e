// SPDX-License-Identifier: Apache-2.0
#include "hbone/outbox.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace nodeward::hbone {

std::unique_ptr<Block> BlockPool::Take() {
  if (idle_.empty()) {
    // Not value-initialised: nobody reads what was not written.
    return std::unique_ptr<Block>(new Block);
  }
  std::unique_ptr<Block> block = std::move(idle_.back());
  idle_.pop_back();
  block->begin = block->end = 0;
  return block;
}

void BlockPool::Give(std::unique_ptr<Block> block) {
  if (idle_.size() < kKeep) idle_.push_back(std::move(block));
}

void Outbox::Gather(base::ByteSpan bytes) {
  if (bytes.empty()) return;
  if (piece_count_ == kPieces) Hold();
  pieces_[piece_count_++] = bytes;
  borrowed_ += bytes.size();
}

void Outbox::Hold() {
  const size_t count = std::exchange(piece_count_, 0);
  for (size_t i = 0; i < count; ++i) Copy(pieces_[i]);
  borrowed_ = 0;
}

void Outbox::Copy(base::ByteSpan bytes) {
  held_ += bytes.size();
  pool_->AddHeld(static_cast<int64_t>(bytes.size()));
  while (!bytes.empty()) {
    if (tail_ == nullptr || tail_->end == Block::kSize) {
      std::unique_ptr<Block> block = pool_->Take();
      Block* const added = block.get();
      (tail_ == nullptr ? head_ : tail_->next) = std::move(block);
      tail_ = added;
    }
    const size_t count =
        std::min<size_t>(bytes.size(), Block::kSize - tail_->end);
    std::memcpy(tail_->bytes + tail_->end, bytes.data(), count);
    tail_->end += static_cast<uint32_t>(count);
    bytes = bytes.subspan(count);
  }
}

io::Transfer Outbox::Flush(int fd) {
  constexpr size_t kVectors = 64;
  size_t written = 0;
  while (size() > 0) {
    std::array<base::ByteSpan, kVectors> vectors;
    size_t count = 0;
    size_t offered = 0;
    const auto offer = [&](base::ByteSpan piece) {
      vectors[count++] = piece;
      offered += piece.size();
    };
    const Block* block = head_.get();
    for (; block != nullptr && count < kVectors; block = block->next.get()) {
      offer({block->bytes + block->begin, block->end - block->begin});
    }
    if (block == nullptr) {
      for (size_t i = 0; i < piece_count_ && count < kVectors; ++i) {
        offer(pieces_[i]);
      }
    }
    const io::Transfer sent =
        count == 1 ? io::Write(fd, vectors[0])
                   : io::WriteGathered(fd, {vectors.data(), count});
    if (sent.progress == io::Progress::kReset) {
      Hold();
      return {io::Progress::kReset, written, sent.error};
    }
    Drop(sent.count);
    written += sent.count;
    // A short write has armed the edge that tells of new room.
    if (sent.progress == io::Progress::kWouldBlock || sent.count < offered) {
      Hold();
      return {io::Progress::kWouldBlock, written};
    }
  }
  return {io::Progress::kBytes, written};
}

void Outbox::Drop(size_t count) {
  const size_t from_blocks = std::min(count, held_);
  held_ -= from_blocks;
  pool_->AddHeld(-static_cast<int64_t>(from_blocks));
  for (size_t left = from_blocks; left > 0;) {
    const size_t taken = std::min<size_t>(left, head_->end - head_->begin);
    head_->begin += static_cast<uint32_t>(taken);
    left -= taken;
    if (head_->begin < head_->end) break;
    std::unique_ptr<Block> emptied = std::move(head_);
    head_ = std::move(emptied->next);
    if (head_ == nullptr) tail_ = nullptr;
    pool_->Give(std::move(emptied));
  }
  count -= from_blocks;
  borrowed_ -= count;
  size_t gone = 0;
  while (gone < piece_count_ && count >= pieces_[gone].size()) {
    count -= pieces_[gone++].size();
  }
  if (gone < piece_count_) pieces_[gone] = pieces_[gone].subspan(count);
  std::move(pieces_.begin() + gone, pieces_.begin() + piece_count_,
            pieces_.begin());
  piece_count_ -= gone;
}

void Outbox::Clear() {
  piece_count_ = 0;
  borrowed_ = 0;
  Drop(held_);
}

}  // namespace nodeward::hbone
