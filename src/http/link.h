// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/status.h"
#include "http/allowance.h"
#include "http/session.h"

struct nghttp2_session;

namespace nodeward::http {

// A header section that came, pseudo-fields first, their form checked by RFC
// 9113 section 8.
struct StreamHead {
  enum class Kind { kRequest, kInterim, kResponse, kTrailers } kind;
  std::vector<Header> fields;
  bool ends = false;   // END_STREAM
  bool large = false;  // more than Link::kMaxHeadBytes: without the fields
};

// Callbacks come from inside Link::Receive and Link::Send and may call all of
// Link but these two. A `stream` is what the link was given for it; null: it
// was given nothing.
class LinkUser {
 public:
  virtual void OnHead(int32_t id, void* stream, StreamHead head) = 0;
  // Valid for the duration of the call to Receive. Its window is given back by
  // Consume.
  virtual void OnData(int32_t id, void* stream, base::ByteSpan bytes) = 0;
  virtual void OnEnd(void* stream) = 0;  // END_STREAM of a body
  // Client: the request has left.
  virtual void OnRequestSent(void* stream) = 0;
  // The stream is gone: the last call. kNoError: both directions ended, or
  // RST_STREAM said so.
  virtual void OnClose(void* stream, uint32_t code) = 0;
  virtual void OnGoaway() = 0;
  // The peer broke a rule of HTTP/2; the link has dealt with it.
  virtual void OnInvalid(base::Status why) = 0;

  struct Body {
    size_t ready = 0;
    bool ended = false;  // nothing comes behind what is ready
    const std::vector<Header>* trailers = nullptr;
  };
  // What there is to be sent; never with a null `stream`.
  virtual Body BodyOf(void* stream) = 0;
  // Fills `room`, of no more than what was ready.
  virtual void TakeBody(void* stream, base::MutableByteSpan room) = 0;

 protected:
  ~LinkUser() = default;
};

// One side of a gateway for HTTP/2: nghttp2 for requests and responses, bytes
// in and bytes out, without sockets, clock and thread. Session is its
// counterpart for tunnels. The peer's windows are opened only by Consume.
// Floods (streams reset before an answer, PING, SETTINGS, empty frames, endless
// header sections) end it with GOAWAY ENHANCE_YOUR_CALM.
class Link {
 public:
  static constexpr uint32_t kStreamWindow = 256 << 10;
  static constexpr uint32_t kConnectionWindow = 1 << 20;
  static constexpr uint32_t kMaxStreams = 256;
  static constexpr size_t kMaxHeadBytes = 64 << 10;
  // Of all header sections that wait to be sent.
  static constexpr size_t kMaxHeadsQueued = 1 << 20;
  // No frame that Send makes is larger.
  static constexpr size_t kMaxFrame = (16 << 10) + 9;

  // `user` outlives it. Its preface and SETTINGS come with the first Send.
  static base::StatusOr<std::unique_ptr<Link>> Create(Role role,
                                                      LinkUser* user);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // An error is fatal: after one more Send the link is finished().
  base::Status Receive(base::ByteSpan bytes, absl::Duration now);
  // Fills `room`, which has kMaxFrame at least, with frames; 0: there is
  // nothing to be said now. An error is fatal.
  base::StatusOr<size_t> Send(base::MutableByteSpan room);
  bool wants_send() const;
  // Neither side has anything to say any more.
  bool finished() const;
  // A header section has begun and is not whole.
  bool in_head() const { return in_head_; }
  // Frames wait, other than those of bodies and of requests.
  bool crowded() const;

  // Client: opens a stream. An error: none can be opened, or (kResource-
  // Exhausted) too many header sections wait.
  base::StatusOr<int32_t> Request(std::span<const Header> fields, bool ends,
                                  void* stream);
  // Server: the final response; false: as above.
  bool Respond(int32_t id, std::span<const Header> fields, bool ends);
  bool Interim(int32_t id, std::span<const Header> fields);
  // Server: what OnHead's stream stands for.
  void Name(int32_t id, void* stream);
  // There is something in BodyOf again.
  void Resume(int32_t id);
  void Reset(int32_t id, uint32_t code);
  // `count` bytes have been passed on: the peer may send as many more.
  void Consume(int32_t id, size_t count);
  // GOAWAY: what was received so far is served, nothing else.
  void Goaway();
  // GOAWAY that ends everything.
  void Terminate(uint32_t code);
  // The peer opened a stream in vain: there may not be many of them.
  void NoteWaste();

 private:
  struct Callbacks;

  Link(Role role, LinkUser* user) : role_(role), user_(user) {}
  base::Status Configure();
  base::Status SubmitSettings();
  bool HasRoomFor(std::span<const Header> fields);
  void TakeAllowance(Allowance* allowance, const char* what);

  const Role role_;
  LinkUser* const user_;
  nghttp2_session* session_ = nullptr;
  absl::Duration now_;
  Allowance wasted_streams_{1000, 100};
  // Frames that ask for an answer or mean nothing.
  Allowance control_frames_{2000, 200};
  const char* flood_ = nullptr;  // what the peer did too often
  bool dead_ = false;
  bool in_head_ = false;
  std::vector<Header> head_;  // that is being received
  size_t head_bytes_ = 0;
  size_t queued_heads_ = 0;     // bytes of heads to be sent
  base::MutableByteSpan room_;  // of this Send
  size_t filled_ = 0;
};

}  // namespace nodeward::http
