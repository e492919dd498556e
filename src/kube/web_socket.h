// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace nodeward::kube {

// The client's side of a WebSocket (RFC 6455): bytes in, bytes and messages
// out. Does no I/O. Sends nothing of its own but answers to pings and closes.
class WebSocket {
 public:
  struct Opening {
    std::string host;                    // as in the header Host
    std::string target;                  // path and query
    std::vector<std::string> headers;    // "Authorization: Bearer …"
    std::vector<std::string> protocols;  // one of which the server must choose
    std::array<uint8_t, 16> nonce;       // random
    std::function<uint32_t()> random;    // a mask for each frame
  };
  explicit WebSocket(const Opening& opening);

  // Takes what the server sent, and calls `message` with each message that is
  // complete. An error is the end: a server that refuses (its answer is in the
  // message), or one that breaks the protocol.
  base::Status Feed(std::string_view bytes,
                    const std::function<void(std::string_view)>& message);
  // The connection has ended. An error unless it was closed as it should be.
  base::Status Finish() const;
  // What to send next; the request first of all.
  std::string TakeOutput() { return std::exchange(output_, {}); }
  // The server has said that it is done.
  bool closed() const { return state_ == State::kClosed; }

 private:
  enum class State { kHead, kRefused, kOpen, kClosed };
  struct Frame {
    bool last = false;
    uint8_t opcode = 0;
    std::string_view payload;
  };

  base::Status TakeHead();
  base::Status CheckAccepted(std::string_view head) const;
  base::Status Refusal() const;
  base::Status TakeFrame(const Frame& frame,
                         const std::function<void(std::string_view)>& message);
  void Send(uint8_t opcode, std::string_view payload);

  const std::vector<std::string> protocols_;
  const std::function<uint32_t()> random_;
  const std::string key_;  // Sec-WebSocket-Key
  State state_ = State::kHead;
  int status_ = 0;
  size_t body_left_ = 0;  // of a refusal
  std::string input_;
  std::string output_;
  std::string message_;  // of several frames, so far
  bool fragmented_ = false;
};

}  // namespace nodeward::kube
