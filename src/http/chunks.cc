// SPDX-License-Identifier: Apache-2.0
#include "http/chunks.h"

#include <algorithm>
#include <utility>

namespace nodeward::http {
namespace {

// More would not fit a signed number of 64 bits.
constexpr int kMaxDigits = 15;

int HexDigit(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsText(uint8_t c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; }

}  // namespace

ChunkReader::Piece ChunkReader::Read(base::ByteSpan input) {
  using Kind = Piece::Kind;
  if (state_ == State::kPayload && !input.empty()) {
    const size_t count = std::min<uint64_t>(size_, input.size());
    size_ -= count;
    if (size_ == 0) state_ = State::kPayloadCr;
    return {Kind::kBytes, count};
  }
  for (size_t i = 0; i < input.size(); ++i) {
    const State before = state_;
    if (!Step(input[i])) return {Kind::kBad, i};
    if (before == State::kSizeLf && state_ == State::kPayload) {
      return {Kind::kChunk, i + 1, size_};
    }
    if (before == State::kPayloadLf) return {Kind::kChunkEnd, i + 1};
    if (state_ == State::kEnd) return {Kind::kEnd, i + 1};
  }
  return {Kind::kMore, input.size()};
}

bool ChunkReader::Step(uint8_t c) {
  switch (state_) {
    case State::kSize: {
      const int digit = HexDigit(c);
      if (digit >= 0) {
        size_ = size_ * 16 + static_cast<uint64_t>(digit);
        return ++digits_ <= kMaxDigits;
      }
      if (digits_ == 0) return false;
      passed_ = 0;
      state_ = c == '\r' ? State::kSizeLf : State::kExtension;
      return c == '\r' || c == ';';
    }
    case State::kExtension:
      if (c == '\r') {
        state_ = State::kSizeLf;
        return true;
      }
      return IsText(c) && ++passed_ <= kMaxExtension;
    case State::kSizeLf:
      digits_ = 0;
      passed_ = 0;
      state_ = size_ > 0 ? State::kPayload : State::kTrailerStart;
      return c == '\n';
    case State::kPayload:  // Read's
      return false;
    case State::kPayloadCr:
      state_ = State::kPayloadLf;
      return c == '\r';
    case State::kPayloadLf:
      state_ = State::kSize;
      return c == '\n';
    case State::kTrailerStart:
      state_ = c == '\r' ? State::kEndLf : State::kTrailer;
      // A folded line is none of its own.
      return ++passed_ <= kMaxTrailers &&
             (c == '\r' || (IsText(c) && c != ' ' && c != '\t'));
    case State::kTrailer:
      if (c == '\r') state_ = State::kTrailerLf;
      return ++passed_ <= kMaxTrailers && (c == '\r' || IsText(c));
    case State::kTrailerLf:
      state_ = State::kTrailerStart;
      return c == '\n' && ++passed_ <= kMaxTrailers;
    case State::kEndLf:
      state_ = State::kEnd;
      return c == '\n';
    case State::kEnd:
      break;
  }
  return false;
}

}  // namespace nodeward::http
