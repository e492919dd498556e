// SPDX-License-Identifier: Apache-2.0
//
// http: HTTP/2 for CONNECT tunnels, without sockets. Bytes in, callbacks; pull
// payload, bytes out. Holds no clock and no thread; one session belongs to one
// thread. Refuses floods (resets before an answer, PING, SETTINGS, empty
// frames, endless header blocks) with GOAWAY ENHANCE_YOUR_CALM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/status.h"
#include "http/allowance.h"

struct nghttp2_session;

namespace nodeward::http {

enum class Role { kClient, kServer };

// RFC 9113 section 7.
namespace error_code {
inline constexpr uint32_t kNoError = 0x0;
inline constexpr uint32_t kProtocolError = 0x1;
inline constexpr uint32_t kInternalError = 0x2;
inline constexpr uint32_t kRefusedStream = 0x7;
inline constexpr uint32_t kCancel = 0x8;
inline constexpr uint32_t kConnectError = 0xa;
inline constexpr uint32_t kEnhanceYourCalm = 0xb;
}  // namespace error_code

struct Header {
  std::string name;  // lower case
  std::string value;
};

// What a client asks for; not judged yet.
struct Request {
  std::string method;
  std::string authority;
  std::vector<Header> headers;  // without pseudo-headers
};

// What a stream's user had to send.
struct Pulled {
  enum class Kind {
    kBytes,  // `count` bytes were put into the room, more may follow
    kLater,  // nothing now: Session::Resume when there is
    kEnd,    // nothing more ever (END_STREAM)
  } kind = Kind::kLater;
  size_t count = 0;
};

// The user of one stream. Callbacks come from inside Session::Receive and
// Session::Send; they may call everything of Session but these two and the
// destructor.
class StreamUser {
 public:
  // Client: the status of the final response.
  virtual void OnResponse(int status) = 0;
  // Payload, valid for the duration of the call to Receive. Say Consume and
  // ConsumeConnection when it is on its way.
  virtual void OnData(base::ByteSpan bytes) = 0;
  virtual void OnEnd() = 0;  // END_STREAM
  // The stream is gone: the last call. kNoError when both directions ended.
  virtual void OnClose(uint32_t code) = 0;
  // Fills `room` as far as there is something.
  virtual Pulled Pull(base::MutableByteSpan room) = 0;

 protected:
  ~StreamUser() = default;
};

// The owner of a session.
class SessionUser {
 public:
  // Server: a whole request. Answer with Respond or Refuse, now or later.
  virtual void OnRequest(int32_t stream, Request request) = 0;
  // Client: no stream above `last_stream` was or will be served; those get
  // OnClose(kRefusedStream) by themselves. No new stream can be opened.
  virtual void OnGoaway(int32_t last_stream, uint32_t code) = 0;
  // The peer's SETTINGS have arrived (max_streams() may have changed).
  virtual void OnSettings() = 0;

  // Where the next DATA payload may be put: directly behind Session::
  // kFrameHeader bytes that belong to the same buffer. At least one byte.
  virtual base::MutableByteSpan PullRoom() = 0;
  // One whole frame for the peer; a DATA frame starts kFrameHeader bytes before
  // PullRoom's. All of it is taken; false: no more for now (Send returns).
  virtual bool Write(base::ByteSpan frame) = 0;

 protected:
  ~SessionUser() = default;
};

class Session {
 public:
  static constexpr size_t kFrameHeader = 9;

  struct Options {
    uint32_t stream_window = 1 << 20;
    uint32_t connection_window = 16 << 20;
    // 64 KiB: one frame is one full read of a socket; larger ones gain nothing
    // (TLS records hold 16 KiB) and let one stream keep the others waiting.
    uint32_t max_frame = 64 << 10;
    uint32_t max_streams = 200;  // server: what it announces
    size_t max_header_bytes = 16 << 10;
  };

  // Puts the preface and SETTINGS into the next Send. `user` outlives it.
  static base::StatusOr<std::unique_ptr<Session>> Create(Role role,
                                                         Options options,
                                                         SessionUser* user);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Bytes from the peer. An error is fatal: Send once more (it may hold the
  // GOAWAY that says why), then close.
  base::Status Receive(base::ByteSpan bytes, absl::Duration now);
  // Hands frames to SessionUser::Write until it says enough or nothing is left.
  base::Status Send();
  bool wants_send() const;
  // Neither side has anything to say any more.
  bool finished() const;

  // Client: opens a CONNECT stream; the user is borrowed until OnClose or
  // Forget. Error: no stream can be opened any more.
  base::StatusOr<int32_t> Connect(std::string_view authority,
                                  std::span<const Header> headers,
                                  StreamUser* user);
  // Server: 200, and payload flows between the stream and `user`.
  void Accept(int32_t stream, std::span<const Header> headers,
              StreamUser* user);
  // Server: who hears of the stream while the answer is not given yet.
  void Watch(int32_t stream, StreamUser* user);
  // Server: a status without a body, END_STREAM.
  void Refuse(int32_t stream, int status);

  // The user has payload again after kLater.
  void Resume(int32_t stream);
  // `count` bytes have left: the peer may send as many more on the stream …
  void Consume(int32_t stream, size_t count);
  // … and on the connection.
  void ConsumeConnection(size_t count);
  // RST_STREAM. The user still hears OnClose unless it is forgotten first.
  void Reset(int32_t stream, uint32_t code);
  // The stream's user is no more; what still comes is dropped.
  void Forget(int32_t stream);

  // The connection is gone: every stream's user hears OnClose(code), and
  // nothing is to be called afterwards but the destructor.
  void Abandon(uint32_t code);

  void Ping();
  // GOAWAY that lets streams already under way end (RFC 9113 6.8): the notice
  // first, the number of the last stream once the peer has answered a PING.
  void GoawayGracefully();
  // GOAWAY that ends everything.
  void Terminate(uint32_t code);

  // How many streams the peer lets us open at once.
  uint32_t max_streams() const;
  size_t open_streams() const { return streams_.size(); }

 private:
  struct Callbacks;
  struct Stream {
    StreamUser* user = nullptr;
    std::unique_ptr<Request> request;  // server: while its headers arrive
    size_t header_bytes = 0;
    int status = 0;         // client: of the response being received
    bool answered = false;  // a final response was received or given
  };

  Session(Role role, Options options, SessionUser* user);
  base::Status Configure();
  Stream* Find(int32_t stream);
  void TakeAllowance(Allowance* allowance, std::string_view what);

  const Role role_;
  const Options options_;
  SessionUser* const user_;
  nghttp2_session* session_ = nullptr;
  absl::flat_hash_map<int32_t, std::unique_ptr<Stream>> streams_;
  absl::Duration now_;
  // A reset before the answer costs us a connection to the application and the
  // peer nothing; one of an established tunnel is an application's own RST and
  // is not counted.
  Allowance early_resets_{1000, 100};
  // Frames that ask for an answer or mean nothing.
  Allowance control_frames_{2000, 200};
  base::ByteSpan pulled_;  // payload that Pull has just made
  uint32_t frame_room_;    // payload that the next DATA frame may have
  bool full_ = false;      // Write said enough during this Send
  bool draining_ = false;
  std::string flood_;  // what the peer did too often
};

}  // namespace nodeward::http
