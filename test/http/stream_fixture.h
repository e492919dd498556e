// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nghttp2/nghttp2.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/handle.h"
#include "base/text.h"
#include "http/stream_gateway.h"

namespace nodeward::http {

using FieldList = std::vector<std::pair<std::string, std::string>>;

namespace wire {

enum : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoaway = 7,
  kWindow = 8,
  kContinuation = 9,
};
enum : uint8_t { kEndStream = 1, kAck = 1, kEndHeaders = 4 };

inline std::string Number(uint32_t value, int bytes = 4) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) {
    out += static_cast<char>(value >> (8 * i));
  }
  return out;
}

inline std::string Frame(uint8_t type, uint8_t flags, uint32_t id,
                         std::string_view payload) {
  return base::StrCat(Number(static_cast<uint32_t>(payload.size()), 3),
                      std::string(1, static_cast<char>(type)),
                      std::string(1, static_cast<char>(flags)), Number(id),
                      payload);
}

// HPACK without tables and without Huffman: every field is a literal.
inline std::string Literal(std::string_view text) {
  std::string out;
  if (text.size() < 127) {
    out += static_cast<char>(text.size());
  } else {
    out += '\x7f';
    size_t left = text.size() - 127;
    for (; left >= 128; left /= 128) {
      out += static_cast<char>(left % 128 + 128);
    }
    out += static_cast<char>(left);
  }
  out += text;
  return out;
}
inline std::string Block(const FieldList& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    out += '\0';
    out += Literal(name) + Literal(value);
  }
  return out;
}
inline std::string Head(uint32_t id, const FieldList& fields,
                        bool ends = true) {
  const std::string block = Block(fields);
  constexpr size_t kPart = 16384;
  std::string out =
      Frame(kHeaders,
            static_cast<uint8_t>((ends ? kEndStream : 0) |
                                 (block.size() <= kPart ? kEndHeaders : 0)),
            id, std::string_view(block).substr(0, kPart));
  for (size_t at = kPart; at < block.size(); at += kPart) {
    const bool last = at + kPart >= block.size();
    out += Frame(kContinuation, last ? kEndHeaders : 0, id,
                 std::string_view(block).substr(at, kPart));
  }
  return out;
}
inline std::string Data(uint32_t id, std::string_view payload,
                        bool ends = false) {
  return Frame(kData, ends ? kEndStream : 0, id, payload);
}
inline std::string Reset(uint32_t id, uint32_t code) {
  return Frame(kReset, 0, id, Number(code));
}
inline std::string Window(uint32_t id, uint32_t by) {
  return Frame(kWindow, 0, id, Number(by));
}
inline std::string Goaway(uint32_t last, uint32_t code) {
  return Frame(kGoaway, 0, 0, Number(last) + Number(code));
}
inline std::string Settings(
    std::initializer_list<std::pair<uint16_t, uint32_t>> entries) {
  std::string out;
  for (const auto& [id, value] : entries) {
    out += Number(id, 2) + Number(value);
  }
  return Frame(kSettings, 0, 0, out);
}

// A frame as a peer gets it.
struct Seen {
  uint8_t type = 0;
  uint8_t flags = 0;
  int32_t id = 0;
  std::string payload;
  FieldList fields;  // of HEADERS

  bool ends() const {
    return (flags & kEndStream) != 0 && (type == kData || type == kHeaders);
  }
  // Of RST_STREAM and GOAWAY.
  uint32_t code() const {
    uint32_t value = 0;
    for (const char c : payload.substr(type == kGoaway ? 4 : 0, 4)) {
      value = value << 8 | static_cast<uint8_t>(c);
    }
    return value;
  }
  std::string Value(std::string_view name) const {
    for (const auto& [key, value] : fields) {
      if (key == name) return value;
    }
    return "(none)";
  }
};

// Takes what a link sends apart.
class Reader {
 public:
  Reader() {
    nghttp2_hd_inflater* made = nullptr;
    nghttp2_hd_inflate_new(&made);
    inflater_.reset(made);
  }
  void Add(std::string_view bytes) { bytes_ += bytes; }
  void SkipPreface() { bytes_.erase(0, StreamGateway::kPreface.size()); }
  std::vector<Seen> Take() {
    std::vector<Seen> out;
    const auto byte = [this](size_t i) {
      return static_cast<uint8_t>(bytes_[i]);
    };
    while (bytes_.size() >= 9) {
      const size_t size = static_cast<size_t>(byte(0)) << 16 |
                          static_cast<size_t>(byte(1)) << 8 | byte(2);
      if (bytes_.size() < 9 + size) break;
      Seen seen;
      seen.type = byte(3);
      seen.flags = byte(4);
      seen.id = static_cast<int32_t>(static_cast<uint32_t>(byte(5)) << 24 |
                                     static_cast<uint32_t>(byte(6)) << 16 |
                                     static_cast<uint32_t>(byte(7)) << 8 |
                                     static_cast<uint32_t>(byte(8)));
      seen.payload = bytes_.substr(9, size);
      bytes_.erase(0, 9 + size);
      if (seen.type == kHeaders || seen.type == kContinuation) Inflate(&seen);
      out.push_back(std::move(seen));
    }
    return out;
  }

 private:
  void Inflate(Seen* seen) {
    std::string_view in = seen->payload;
    for (;;) {
      nghttp2_nv field;
      int flags = 0;
      const ssize_t taken =
          nghttp2_hd_inflate_hd2(inflater_.get(), &field, &flags,
                                 reinterpret_cast<const uint8_t*>(in.data()),
                                 in.size(), (seen->flags & kEndHeaders) != 0);
      if (taken < 0) return;
      in.remove_prefix(static_cast<size_t>(taken));
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        seen->fields.emplace_back(
            std::string(reinterpret_cast<char*>(field.name), field.namelen),
            std::string(reinterpret_cast<char*>(field.value), field.valuelen));
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
        nghttp2_hd_inflate_end_headers(inflater_.get());
        return;
      }
      if (in.empty() && (flags & NGHTTP2_HD_INFLATE_EMIT) == 0) return;
    }
  }

  std::string bytes_;
  base::Handle<nghttp2_hd_inflater, nghttp2_hd_inflate_del> inflater_;
};

}  // namespace wire

// A stream gateway between two peers that are frames.
class StreamDriver final : private StreamGatewayUser {
 public:
  StreamDriver() {
    auto made = StreamGateway::Create(this);
    gateway = *std::move(made);
  }

  // Rules on a request; without it all are forwarded.
  std::function<Ruling(RequestHead*)> judge;
  std::string certificate;
  absl::Duration now;

  // The first words of both sides, of which nothing is kept.
  void Greet() {
    const std::string ack = wire::Frame(wire::kSettings, wire::kAck, 0, "");
    Client(base::StrCat(StreamGateway::kPreface, wire::Settings({}), ack));
    Application(wire::Settings({}) + ack);
    to_client.clear();
    to_application.clear();
  }
  void Client(std::string_view bytes) {
    // From memory of its own size, so that a sanitizer sees what is read
    // beyond it.
    const std::vector<uint8_t> offered(bytes.begin(), bytes.end());
    gateway->FromClient(offered, now);
    Flush();
  }
  void Application(std::string_view bytes) {
    const std::vector<uint8_t> offered(bytes.begin(), bytes.end());
    gateway->FromApplication(offered, now);
    Flush();
  }
  void Flush() {
    // One side's frames may make others for the other side.
    while (FlushClient() + FlushApplication() > 0) continue;
    gateway->Hold();
    for (auto& seen : from_client_side.Take()) to_client.push_back(seen);
    for (auto& seen : from_application_side.Take()) {
      to_application.push_back(seen);
    }
  }

  size_t FlushClient() {
    std::vector<uint8_t> room(Link::kMaxFrame);
    const size_t count = client_stalls ? 0 : gateway->ToClient(room);
    from_client_side.Add(base::AsText({room.data(), count}));
    return count;
  }
  size_t FlushApplication() {
    std::vector<uint8_t> room(Link::kMaxFrame);
    const size_t count = application_stalls ? 0 : gateway->ToApplication(room);
    from_application_side.Add(base::AsText({room.data(), count}));
    if (count > 0 && !std::exchange(greeted_, true)) {
      from_application_side.SkipPreface();
    }
    return count;
  }

  // The frames of one kind, of one stream unless `id` is -1; those of others
  // are passed over.
  static std::vector<wire::Seen> Of(const std::vector<wire::Seen>& all,
                                    uint8_t type, int32_t id = -1) {
    std::vector<wire::Seen> out;
    for (const wire::Seen& seen : all) {
      if (seen.type == type && (id < 0 || seen.id == id)) out.push_back(seen);
    }
    return out;
  }
  static std::string BodyOf(const std::vector<wire::Seen>& all, int32_t id) {
    std::string out;
    for (const wire::Seen& seen : Of(all, wire::kData, id)) out += seen.payload;
    return out;
  }

  std::vector<wire::Seen> to_client;
  std::vector<wire::Seen> to_application;
  wire::Reader from_client_side;
  wire::Reader from_application_side;
  bool client_stalls = false;
  bool application_stalls = false;
  int requests = 0;
  std::vector<std::string> bad;
  std::unique_ptr<StreamGateway> gateway;

 private:
  Ruling OnRequest(RequestHead* request) override {
    ++requests;
    return judge ? judge(request) : Ruling::kForward;
  }
  void OnBadRequest(const base::Status& why) override {
    bad.emplace_back(why.message());
  }
  std::string_view client_cert() override { return certificate; }

  bool greeted_ = false;
};

}  // namespace nodeward::http
