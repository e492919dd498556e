// SPDX-License-Identifier: Apache-2.0
#include "tls/client_hello.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace nodeward::tls {
namespace {

// RFC 8446 5.1, 4, 4.1.2, 4.2; RFC 7301 3.1; RFC 6066 3.
constexpr uint8_t kHandshakeRecord = 22;
constexpr uint8_t kMajorVersion = 3;
constexpr uint8_t kClientHello = 1;
constexpr size_t kRecordHeader = 5;
constexpr size_t kMessageHeader = 4;
constexpr size_t kMaxFragment = 16384;
constexpr size_t kVersionAndRandom = 2 + 32;
constexpr size_t kMaxSessionId = 32;
constexpr uint32_t kServerName = 0;
constexpr uint32_t kAlpn = 16;
constexpr uint32_t kHostName = 0;

// Takes fields off the front; after one that is not there, nothing is.
class Reader {
 public:
  explicit Reader(base::ByteSpan bytes) : bytes_(bytes) {}

  uint32_t Number(size_t width) {
    uint32_t value = 0;
    for (const uint8_t byte : Bytes(width)) value = value << 8 | byte;
    return value;
  }
  base::ByteSpan Bytes(size_t count) {
    if (count > bytes_.size()) {
      ok_ = false;
      bytes_ = {};
      return {};
    }
    const base::ByteSpan taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  // What a length of `width` bytes announces.
  base::ByteSpan Vector(size_t width) { return Bytes(Number(width)); }

  bool ok() const { return ok_; }
  bool empty() const { return bytes_.empty(); }

 private:
  base::ByteSpan bytes_;
  bool ok_ = true;
};

struct Message {
  Sniffed::Kind kind;
  std::vector<uint8_t> body;  // without its header; only when kTls
};

// False as soon as what is there of the message's header cannot be a
// ClientHello's.
bool PlausibleHeader(base::ByteSpan message) {
  if (!message.empty() && message[0] != kClientHello) return false;
  if (message.size() < kMessageHeader) return true;
  const size_t length = Reader(message.subspan(1)).Number(3);
  return length >= kVersionAndRandom &&
         length + kMessageHeader <= kMaxClientHello;
}

// Puts the fragments of the first handshake message together.
Message Assemble(base::ByteSpan bytes) {
  std::vector<uint8_t> message;
  base::ByteSpan rest = bytes.first(std::min(bytes.size(), kMaxClientHello));
  for (;;) {
    if (rest.size() >= 1 && rest[0] != kHandshakeRecord) break;
    if (rest.size() >= 2 && rest[1] != kMajorVersion) break;
    size_t length = 0;
    if (rest.size() >= kRecordHeader) {
      length = static_cast<size_t>(rest[3]) << 8 | rest[4];
      // Empty handshake fragments are forbidden (RFC 8446 5.1).
      if (length == 0 || length > kMaxFragment) break;
      const base::ByteSpan there = rest.subspan(kRecordHeader);
      const base::ByteSpan part = there.first(std::min(length, there.size()));
      message.insert(message.end(), part.begin(), part.end());
      if (!PlausibleHeader(message)) break;
    }
    if (message.size() >= kMessageHeader) {
      const size_t size =
          Reader(base::ByteSpan(message).subspan(1)).Number(3) + kMessageHeader;
      if (message.size() >= size) {
        return {Sniffed::Kind::kTls,
                {message.begin() + kMessageHeader,
                 message.begin() + static_cast<ptrdiff_t>(size)}};
      }
    }
    if (rest.size() < kRecordHeader + length || length == 0) {
      // Waiting for more than we would ever look at is waiting in vain.
      if (bytes.size() >= kMaxClientHello) break;
      return {Sniffed::Kind::kNeedMore, {}};
    }
    rest = rest.subspan(kRecordHeader + length);
  }
  return {Sniffed::Kind::kNotTls, {}};
}

bool ParseAlpn(base::ByteSpan data, std::vector<std::string>* out) {
  Reader outer(data);
  const base::ByteSpan list = outer.Vector(2);
  if (!outer.ok() || !outer.empty() || list.empty()) return false;
  Reader names(list);
  while (!names.empty()) {
    const base::ByteSpan name = names.Vector(1);
    if (!names.ok() || name.empty()) return false;
    out->emplace_back(base::AsText(name));
  }
  return true;
}

bool ParseServerName(base::ByteSpan data, std::string* out) {
  Reader outer(data);
  const base::ByteSpan list = outer.Vector(2);
  if (!outer.ok() || !outer.empty() || list.empty()) return false;
  Reader names(list);
  while (!names.empty()) {
    const uint32_t type = names.Number(1);
    const base::ByteSpan name = names.Vector(2);
    if (!names.ok() || name.empty()) return false;
    if (type == kHostName && out->empty()) *out = base::AsText(name);
  }
  return true;
}

bool ParseExtensions(base::ByteSpan data, Sniffed* out) {
  Reader extensions(data);
  bool alpn = false;
  bool server_name = false;
  while (!extensions.empty()) {
    const uint32_t type = extensions.Number(2);
    const base::ByteSpan value = extensions.Vector(2);
    if (!extensions.ok()) return false;
    if (type == kAlpn) {
      // Twice the same extension is forbidden (RFC 8446 4.2); reading the one
      // and the application the other would be a way round policy.
      if (std::exchange(alpn, true)) return false;
      if (!ParseAlpn(value, &out->alpn)) return false;
    } else if (type == kServerName) {
      if (std::exchange(server_name, true)) return false;
      if (!ParseServerName(value, &out->server_name)) return false;
    }
  }
  return true;
}

bool ParseBody(base::ByteSpan body, Sniffed* out) {
  Reader reader(body);
  reader.Bytes(kVersionAndRandom);
  const base::ByteSpan session = reader.Vector(1);
  const base::ByteSpan suites = reader.Vector(2);
  const base::ByteSpan compressions = reader.Vector(1);
  if (!reader.ok() || session.size() > kMaxSessionId || suites.empty() ||
      suites.size() % 2 != 0 || compressions.empty()) {
    return false;
  }
  if (reader.empty()) return true;  // TLS 1.2 without extensions
  const base::ByteSpan extensions = reader.Vector(2);
  return reader.ok() && reader.empty() && ParseExtensions(extensions, out);
}

}  // namespace

bool Sniffed::is_mesh() const {
  return std::any_of(alpn.begin(), alpn.end(), [](const std::string& name) {
    return name == "istio" || name.starts_with("istio-");
  });
}

Sniffed SniffClientHello(base::ByteSpan bytes) {
  Message message = Assemble(bytes);
  Sniffed sniffed;
  sniffed.kind = message.kind;
  if (message.kind == Sniffed::Kind::kTls &&
      !ParseBody(message.body, &sniffed)) {
    sniffed = Sniffed{};
    sniffed.kind = Sniffed::Kind::kNotTls;
  }
  return sniffed;
}

}  // namespace nodeward::tls
