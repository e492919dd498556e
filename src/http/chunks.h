// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace nodeward::http {

// Finds its way through a chunked body (RFC 9112 section 7.1) byte by byte, so
// that no line need be whole, and to the letter: CRLF and nothing else ends a
// line. Extensions and trailers are passed over, and bounded.
class ChunkReader {
 public:
  static constexpr size_t kMaxExtension = 4 << 10;
  static constexpr size_t kMaxTrailers = 16 << 10;

  struct Piece {
    enum class Kind {
      kMore,   // `taken` is all there was
      kChunk,  // a chunk begins; `size` bytes of payload follow
      kBytes,  // `taken` bytes, and all of them payload
      kChunkEnd,
      kEnd,  // of the body
      kBad,
    } kind = Kind::kMore;
    size_t taken = 0;
    uint64_t size = 0;
  };
  // What the front of `input` is.
  Piece Read(base::ByteSpan input);

 private:
  enum class State {
    kSize,
    kExtension,
    kSizeLf,
    kPayload,
    kPayloadCr,
    kPayloadLf,
    kTrailerStart,
    kTrailer,
    kTrailerLf,
    kEndLf,
    kEnd,
  };
  // Goes on by one byte. False: it must not stand there.
  bool Step(uint8_t c);

  State state_ = State::kSize;
  uint64_t size_ = 0;  // of the chunk; then what is left of it
  int digits_ = 0;
  size_t passed_ = 0;  // bytes of this extension, or of all trailers
};

}  // namespace nodeward::http
