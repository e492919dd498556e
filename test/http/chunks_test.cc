// SPDX-License-Identifier: Apache-2.0
#include "http/chunks.h"

#include <gtest/gtest.h>

#include <string>

namespace nodeward::http {
namespace {

using Kind = ChunkReader::Piece::Kind;

struct Result {
  std::string payload;
  std::string end = "open";  // "end", "bad"
  size_t taken = 0;
  int chunks = 0;
};

// `text` in pieces of `step` bytes.
Result ReadAll(std::string_view text, size_t step) {
  ChunkReader reader;
  Result result;
  while (result.taken < text.size() && result.end == "open") {
    const std::string_view part = text.substr(result.taken, step);
    const auto piece = reader.Read(base::AsBytes(part));
    if (piece.kind == Kind::kBytes) {
      result.payload += part.substr(0, piece.taken);
    }
    if (piece.kind == Kind::kChunk) ++result.chunks;
    if (piece.kind == Kind::kEnd) result.end = "end";
    if (piece.kind == Kind::kBad) result.end = "bad";
    result.taken += piece.taken;
  }
  return result;
}

TEST(ChunkReaderTest, ReadsABodyInPiecesOfAnySize) {
  const std::string text =
      "5\r\nhello\r\n00006;x=\"y\"\r\n world\r\n0;z\r\nA: b\r\nC: d\r\n\r\nGET";
  for (size_t step = 1; step <= text.size(); ++step) {
    const Result result = ReadAll(text, step);
    EXPECT_EQ(result.payload, "hello world") << step;
    EXPECT_EQ(result.end, "end") << step;
    EXPECT_EQ(result.chunks, 2) << step;
    EXPECT_EQ(result.taken, text.size() - 3) << step;
  }
}

TEST(ChunkReaderTest, TakesNothingThatReadersDisagreeAbout) {
  for (const std::string_view text : {"5\nhello\r\n0\r\n\r\n",
                                      "5\r\nhello\n0\r\n\r\n",
                                      "\r\n5\r\nhello",
                                      "5\r\nhello0\r\n\r\n",
                                      "5\r\nhellox\r\n",
                                      "-5\r\nhello",
                                      "+5\r\nhello",
                                      "0x5\r\nhello",
                                      " 5\r\nhello",
                                      "5 \r\nhello",
                                      "5\rhello",
                                      "5;a\nb\r\n",
                                      ";\r\n",
                                      "\r\n",
                                      "g\r\n",
                                      "1000000000000000\r\n",
                                      "5;\x01\r\n",
                                      "0\r\n\n",
                                      "0\r\nA: b\n\r\n",
                                      "0\r\n folded\r\n\r\n",
                                      "0\r\n\rx",
                                      "0\r\nA: \x01\r\n\r\n"}) {
    for (size_t step = 1; step <= text.size(); ++step) {
      EXPECT_EQ(ReadAll(text, step).end, "bad") << text << " " << step;
    }
  }
}

TEST(ChunkReaderTest, BoundsExtensionsAndTrailers) {
  EXPECT_EQ(
      ReadAll("5;" + std::string(ChunkReader::kMaxExtension + 1, 'a'), 999).end,
      "bad");
  std::string trailers = "0\r\n";
  while (trailers.size() < ChunkReader::kMaxTrailers + 100) {
    trailers += "A: b\r\n";
  }
  EXPECT_EQ(ReadAll(trailers, 1000).end, "bad");
}

TEST(ChunkReaderTest, AnEmptyInputChangesNothing) {
  ChunkReader reader;
  EXPECT_EQ(reader.Read({}).kind, Kind::kMore);
  EXPECT_EQ(reader.Read(base::AsBytes("1\r\n")).kind, Kind::kChunk);
  EXPECT_EQ(reader.Read({}).kind, Kind::kMore);
  EXPECT_EQ(reader.Read(base::AsBytes("x")).kind, Kind::kBytes);
}

}  // namespace
}  // namespace nodeward::http
