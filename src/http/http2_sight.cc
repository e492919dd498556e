// SPDX-License-Identifier: Apache-2.0
//
// HTTP/2 read from beside: frames (RFC 9113 section 4) and header blocks of
// both directions, each with a table of its own (RFC 7541). The tables are let
// grow to kMaxTable whatever SETTINGS say: a limit that is too high reads what
// any encoder may send.
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "absl/container/btree_map.h"
#include "base/handle.h"
#include "http/head.h"
#include "http/spectator.h"

namespace nodeward::http {
namespace {

constexpr size_t kMaxTable = 64 << 10;
constexpr size_t kMaxStreams = 1024;
constexpr size_t kFrameHead = 9;

using Inflater = base::Handle<nghttp2_hd_inflater, nghttp2_hd_inflate_del>;

Inflater MakeInflater() {
  nghttp2_hd_inflater* made = nullptr;
  if (nghttp2_hd_inflate_new(&made) != 0) return Inflater();
  Inflater inflater(made);
  if (nghttp2_hd_inflate_change_table_size(made, kMaxTable) != 0) {
    return Inflater();
  }
  return inflater;
}

// What of a header block is shown.
struct Block {
  std::string method, authority, host, path, status, grpc_status;

  void Add(std::string_view name, std::string_view value) {
    if (name == ":method") {
      method = value;
    } else if (name == ":authority") {
      authority = value;
    } else if (name == "host") {
      host = value;
    } else if (name == ":path") {
      path = value;
    } else if (name == ":status") {
      status = value;
    } else if (name == "grpc-status") {
      grpc_status = value;
    }
  }
};

std::optional<int> Number(std::string_view text) {
  int value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

class Http2Sight final : public Sight {
 public:
  Http2Sight(SpectatorUser* user, uint64_t* next) : user_(user), next_(next) {}
  bool usable() const {
    return client_.inflater != nullptr && server_.inflater != nullptr;
  }

  bool FromClient(base::ByteSpan bytes) override {
    return Read(&client_, bytes);
  }
  bool FromServer(base::ByteSpan bytes) override {
    return Read(&server_, bytes);
  }
  void End(std::string_view reason) override;

 private:
  struct Direction {
    Inflater inflater = MakeInflater();
    std::array<uint8_t, kFrameHead> head{};
    size_t head_read = 0;
    size_t left = 0;      // of the frame's payload
    std::string payload;  // of frames that are read as a whole
    // Of the header block under way; it may go on in other frames.
    std::string block;
    int32_t block_stream = 0;
    bool block_ends_stream = false;
    bool block_promised = false;
    bool in_block = false;

    uint8_t type() const { return head[3]; }
    uint8_t flags() const { return head[4]; }
    int32_t stream() const {
      return static_cast<int32_t>((head[5] & 0x7fu) << 24 | head[6] << 16 |
                                  head[7] << 8 | head[8]);
    }
  };
  struct Stream {
    uint64_t number = 0;
    uint64_t length = 0;
    bool answered = false;
  };

  bool Read(Direction* from, base::ByteSpan bytes);
  bool BeginFrame(Direction* from);
  void ReadData(Direction* from, base::ByteSpan bytes);
  bool FrameEnded(Direction* from);
  void DataEnded(const Direction& from);
  bool HeadersEnded(Direction* from);
  bool AddToBlock(Direction* from, std::string_view fragment);
  void Tell(const Direction& from, const Block& block);
  void EndStream(int32_t stream, std::optional<int> grpc_status,
                 std::string_view reset);

  SpectatorUser* const user_;
  uint64_t* const next_;
  Direction client_;
  Direction server_;
  absl::btree_map<int32_t, Stream> streams_;
};

// Whether all of a frame's payload is wanted, not just its size.
bool IsKept(uint8_t type) {
  switch (type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
    case NGHTTP2_PUSH_PROMISE:
    case NGHTTP2_RST_STREAM:
      return true;
    default:
      return false;
  }
}

bool Http2Sight::Read(Direction* from, base::ByteSpan bytes) {
  while (!bytes.empty()) {
    if (from->head_read < kFrameHead) {
      const size_t count = std::min(kFrameHead - from->head_read, bytes.size());
      std::copy_n(bytes.begin(), count, from->head.begin() + from->head_read);
      from->head_read += count;
      bytes = bytes.subspan(count);
      if (from->head_read < kFrameHead) return true;
      if (!BeginFrame(from)) return false;
    }
    const size_t count = std::min(from->left, bytes.size());
    if (IsKept(from->type())) {
      from->payload += base::AsText(bytes.first(count));
    } else if (from->type() == NGHTTP2_DATA) {
      ReadData(from, bytes.first(count));
    }
    from->left -= count;
    bytes = bytes.subspan(count);
    if (from->left > 0) return true;
    from->head_read = 0;
    if (!FrameEnded(from)) return false;
    from->payload.clear();
  }
  return true;
}

bool Http2Sight::BeginFrame(Direction* from) {
  from->left = static_cast<size_t>(from->head[0]) << 16 |
               static_cast<size_t>(from->head[1]) << 8 | from->head[2];
  const bool continues = from->type() == NGHTTP2_CONTINUATION;
  // A block's frames follow one another (RFC 9113 section 4.3).
  if (from->in_block != continues) return false;
  if (continues && from->stream() != from->block_stream) return false;
  return !IsKept(from->type()) || from->left <= kMaxHeadBytes;
}

void Http2Sight::ReadData(Direction* from, base::ByteSpan bytes) {
  if (from != &server_ || bytes.empty()) return;
  const auto found = streams_.find(from->stream());
  if (found == streams_.end()) return;
  found->second.length += bytes.size();
  // Its first byte is the length of the padding.
  if (from->payload.empty()) from->payload = static_cast<char>(bytes[0]);
}

bool Http2Sight::FrameEnded(Direction* from) {
  const uint8_t flags = from->flags();
  std::string_view payload = from->payload;
  switch (from->type()) {
    case NGHTTP2_DATA:
      DataEnded(*from);
      return true;
    case NGHTTP2_RST_STREAM: {
      if (payload.size() != 4) return false;
      uint32_t code = 0;
      for (const char c : payload) code = code << 8 | static_cast<uint8_t>(c);
      EndStream(from->stream(), std::nullopt, nghttp2_http2_strerror(code));
      return true;
    }
    case NGHTTP2_CONTINUATION:
      break;
    case NGHTTP2_HEADERS:
    case NGHTTP2_PUSH_PROMISE: {
      size_t padding = 0;
      if ((flags & NGHTTP2_FLAG_PADDED) != 0) {
        if (payload.empty()) return false;
        padding = static_cast<uint8_t>(payload[0]);
        payload.remove_prefix(1);
      }
      const bool promise = from->type() == NGHTTP2_PUSH_PROMISE;
      size_t before = promise ? 4 : 0;
      if (!promise && (flags & NGHTTP2_FLAG_PRIORITY) != 0) before = 5;
      if (payload.size() < before + padding) return false;
      payload.remove_prefix(before);
      payload.remove_suffix(padding);
      from->in_block = true;
      from->block_stream = from->stream();
      from->block_promised = promise;
      from->block_ends_stream =
          !promise && (flags & NGHTTP2_FLAG_END_STREAM) != 0;
      break;
    }
    default:
      return true;
  }
  if (!AddToBlock(from, payload)) return false;
  if ((flags & NGHTTP2_FLAG_END_HEADERS) == 0) return true;
  return HeadersEnded(from);
}

void Http2Sight::DataEnded(const Direction& from) {
  if (&from != &server_) return;
  const auto found = streams_.find(from.stream());
  if (found == streams_.end()) return;
  if ((from.flags() & NGHTTP2_FLAG_PADDED) != 0 && !from.payload.empty()) {
    const uint64_t padding =
        1 + uint64_t{static_cast<uint8_t>(from.payload[0])};
    found->second.length -= std::min(found->second.length, padding);
  }
  if ((from.flags() & NGHTTP2_FLAG_END_STREAM) != 0) {
    EndStream(from.stream(), std::nullopt, "");
  }
}

bool Http2Sight::AddToBlock(Direction* from, std::string_view fragment) {
  if (from->block.size() + fragment.size() > kMaxHeadBytes) return false;
  from->block += fragment;
  return true;
}

bool Http2Sight::HeadersEnded(Direction* from) {
  from->in_block = false;
  const std::string text = std::exchange(from->block, {});
  base::ByteSpan rest = base::AsBytes(text);
  Block block;
  size_t emitted = 0;
  for (;;) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t read = nghttp2_hd_inflate_hd2(
        from->inflater.get(), &field, &flags, rest.data(), rest.size(), 1);
    if (read < 0) return false;
    rest = rest.subspan(static_cast<size_t>(read));
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      // One byte may stand for a whole field of the table.
      emitted += field.namelen + field.valuelen;
      if (emitted > 16 * kMaxHeadBytes) return false;
      block.Add({reinterpret_cast<const char*>(field.name), field.namelen},
                {reinterpret_cast<const char*>(field.value), field.valuelen});
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && rest.empty()) break;
  }
  nghttp2_hd_inflate_end_headers(from->inflater.get());
  Tell(*from, block);
  return true;
}

void Http2Sight::Tell(const Direction& from, const Block& block) {
  const int32_t stream = from.block_stream;
  if (from.block_promised) return;
  const auto found = streams_.find(stream);
  if (&from == &client_) {
    // Otherwise its trailers, or one too many.
    if (found != streams_.end() || block.method.empty() ||
        streams_.size() >= kMaxStreams) {
      return;
    }
    const uint64_t number = (*next_)++;
    streams_[stream].number = number;
    user_->OnRequest(
        number,
        {block.method, block.authority.empty() ? block.host : block.authority,
         block.path});
    return;
  }
  if (found == streams_.end()) return;
  const std::optional<int> status = Number(block.status);
  if (status.has_value() && *status / 100 != 1 &&
      !std::exchange(found->second.answered, true)) {
    user_->OnResponse(found->second.number, *status);
  }
  if (from.block_ends_stream) {
    EndStream(stream, Number(block.grpc_status), "");
  }
}

void Http2Sight::EndStream(int32_t stream, std::optional<int> grpc_status,
                           std::string_view reset) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  const Stream ended = found->second;
  streams_.erase(found);
  user_->OnExchangeEnd(
      ended.number,
      {.length = ended.length, .grpc_status = grpc_status, .reset = reset});
}

void Http2Sight::End(std::string_view reason) {
  while (!streams_.empty()) {
    EndStream(streams_.begin()->first, std::nullopt,
              reason.empty() ? "closed" : reason);
  }
}

}  // namespace

std::unique_ptr<Sight> MakeHttp2Sight(SpectatorUser* user, uint64_t* next) {
  auto made = std::make_unique<Http2Sight>(user, next);
  if (!made->usable()) return nullptr;
  return made;
}

}  // namespace nodeward::http
