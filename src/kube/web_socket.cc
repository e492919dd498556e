// SPDX-License-Identifier: Apache-2.0
#include "kube/web_socket.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "base/json.h"
#include "base/text.h"
#include "pki/digest.h"

namespace nodeward::kube {
namespace {

constexpr size_t kMaxHead = 64 << 10;
constexpr size_t kMaxMessage = 16 << 20;
constexpr std::string_view kEndOfHead = "\r\n\r\n";
constexpr std::string_view kProtocolId = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

constexpr uint8_t kContinuation = 0, kBinary = 2;
constexpr uint8_t kClose = 8, kPing = 9, kPong = 10;
constexpr uint8_t kLastFrame = 0x80, kReserved = 0x70, kMasked = 0x80;

template <size_t N>
std::string Base64(const std::array<uint8_t, N>& bytes) {
  return absl::Base64Escape(absl::string_view(
      reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

base::Status Broken(std::string_view why) {
  return absl::UnavailableError(base::StrCat("WebSocket: ", why));
}

// The value of a header, or "".
std::string HeaderOf(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos &&
        absl::EqualsIgnoreCase(base::ToAbsl(line.substr(0, colon)),
                               base::ToAbsl(name))) {
      return std::string(
          absl::StripAsciiWhitespace(base::ToAbsl(line.substr(colon + 1))));
    }
    head.remove_prefix(std::min(end + 2, head.size()));
  }
  return "";
}

}  // namespace

WebSocket::WebSocket(const Opening& opening)
    : protocols_(opening.protocols),
      random_(opening.random),
      key_(Base64(opening.nonce)) {
  std::string protocols;
  for (const std::string& protocol : protocols_) {
    base::StrAppend(&protocols, protocols.empty() ? "" : ", ", protocol);
  }
  output_ =
      base::StrCat("GET ", opening.target, " HTTP/1.1\r\nHost: ", opening.host,
                   "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
                   key_, "\r\nSec-WebSocket-Protocol: ", protocols, "\r\n");
  for (const std::string& header : opening.headers) {
    base::StrAppend(&output_, header, "\r\n");
  }
  output_ += "\r\n";
}

base::Status WebSocket::Feed(
    std::string_view bytes,
    const std::function<void(std::string_view)>& message) {
  input_ += bytes;
  if (state_ == State::kHead) NODEWARD_TRY(TakeHead());
  if (state_ == State::kRefused && input_.size() >= body_left_) {
    return Refusal();
  }
  while (state_ == State::kOpen && input_.size() >= 2) {
    const auto byte = [&](size_t at) {
      return static_cast<uint8_t>(input_[at]);
    };
    if ((byte(0) & kReserved) != 0) return Broken("an unknown extension");
    if ((byte(1) & kMasked) != 0) return Broken("the server masks");
    size_t head = 2;
    uint64_t length = byte(1);
    if (length >= 126) {
      const size_t size = length == 126 ? 2 : 8;
      if (input_.size() < head + size) break;
      length = 0;
      for (size_t i = 0; i < size; ++i) length = length << 8 | byte(head + i);
      head += size;
    }
    if (length > kMaxMessage) return Broken("a message is too large");
    if (input_.size() < head + length) break;
    const Frame frame{.last = (byte(0) & kLastFrame) != 0,
                      .opcode = static_cast<uint8_t>(byte(0) & 0xf),
                      .payload = std::string_view(input_).substr(head, length)};
    NODEWARD_TRY(TakeFrame(frame, message));
    input_.erase(0, head + length);
  }
  return base::OkStatus();
}

base::Status WebSocket::TakeHead() {
  const size_t end = input_.find(kEndOfHead);
  if (end == std::string::npos) {
    return input_.size() > kMaxHead ? Broken("no end of the answer's head")
                                    : base::OkStatus();
  }
  const std::string head = input_.substr(0, end);
  input_.erase(0, end + kEndOfHead.size());
  // "HTTP/1.1 101 Switching Protocols"
  if (!head.starts_with("HTTP/1.1 ") ||
      !absl::SimpleAtoi(head.substr(9, 3), &status_)) {
    return Broken("the answer is no HTTP/1.1");
  }
  if (status_ == 101) {
    NODEWARD_TRY(CheckAccepted(head));
    state_ = State::kOpen;
    return base::OkStatus();
  }
  state_ = State::kRefused;
  const std::string length = HeaderOf(head, "Content-Length");
  if (!absl::SimpleAtoi(length, &body_left_)) body_left_ = kMaxHead;
  body_left_ = std::min(body_left_, kMaxHead);
  return base::OkStatus();
}

base::Status WebSocket::CheckAccepted(std::string_view head) const {
  if (HeaderOf(head, "Sec-WebSocket-Accept") !=
      Base64(pki::Sha1(base::StrCat(key_, kProtocolId)))) {
    return Broken("the server does not accept what was asked");
  }
  const std::string protocol = HeaderOf(head, "Sec-WebSocket-Protocol");
  if (std::find(protocols_.begin(), protocols_.end(), protocol) ==
      protocols_.end()) {
    return Broken(base::StrCat("the server speaks '", protocol, "'"));
  }
  return base::OkStatus();
}

// A Kubernetes API server says why in a Status.
base::Status WebSocket::Refusal() const {
  const auto said = base::ParseJson(input_);
  const std::string why =
      said.ok() ? base::GetString(*said, "message") : std::string();
  return absl::PermissionDeniedError(base::StrCat(
      "the server answers ", status_, why.empty() ? "" : ": ", why));
}

base::Status WebSocket::TakeFrame(
    const Frame& frame, const std::function<void(std::string_view)>& message) {
  if (frame.opcode >= kClose) {
    if (!frame.last || frame.payload.size() > 125) {
      return Broken("a control frame that is none");
    }
    if (frame.opcode == kPing) Send(kPong, frame.payload);
    if (frame.opcode == kClose) {
      Send(kClose, frame.payload.substr(0, 2));
      state_ = State::kClosed;
    }
    return frame.opcode <= kPong ? base::OkStatus()
                                 : Broken("a frame of an unknown kind");
  }
  const bool continues = frame.opcode == kContinuation;
  if (continues != fragmented_ || frame.opcode > kBinary) {
    return Broken("a frame out of order");
  }
  if (message_.size() + frame.payload.size() > kMaxMessage) {
    return Broken("a message is too large");
  }
  message_ += frame.payload;
  fragmented_ = !frame.last;
  if (frame.last) message(std::exchange(message_, {}));
  return base::OkStatus();
}

void WebSocket::Send(uint8_t opcode, std::string_view payload) {
  output_ += static_cast<char>(kLastFrame | opcode);
  output_ += static_cast<char>(kMasked | payload.size());  // control: <= 125
  const uint32_t mask = random_();
  const auto part = [&](size_t at) {
    return static_cast<uint8_t>(mask >> (at % 4 * 8));
  };
  for (size_t i = 0; i < 4; ++i) output_ += static_cast<char>(part(i));
  for (size_t i = 0; i < payload.size(); ++i) {
    output_ += static_cast<char>(static_cast<uint8_t>(payload[i]) ^ part(i));
  }
}

base::Status WebSocket::Finish() const {
  if (state_ == State::kRefused) return Refusal();
  return closed() ? base::OkStatus()
                  : Broken("the server ended the connection");
}

}  // namespace nodeward::kube
