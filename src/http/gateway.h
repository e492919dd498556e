// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"
#include "http/chunks.h"
#include "http/head.h"

namespace nodeward::http {

class GatewayUser {
 public:
  enum class Ruling {
    kForward,
    kDeny,     // 403
    kRefuse,   // 400
    kUnheard,  // nothing: the user has ended the connection
  };
  // May `request` go to the application? Its path may be replaced.
  virtual Ruling OnRequest(RequestHead* request) = 0;
  // What the application gets next; valid during the call.
  virtual void ToApplication(base::ByteSpan bytes) = 0;
  // The value of XFCC; empty: there is none.
  virtual std::string_view client_cert() = 0;

 protected:
  ~GatewayUser() = default;
};

// HTTP/1.0 and 1.1 between one client and one application, without sockets.
// Each request is judged and rewritten on its own; the next one is looked at
// when the one before has its whole answer, so that answers keep their order
// and nothing queues in here. Bodies are handed on where they lie. Responses
// pass as they are. What can be understood in two ways is answered with 400 and
// is the last; after a 101 to WebSocket all is bytes. Holds at most two heads
// and a reply.
class Gateway {
 public:
  // So much of denied requests' bodies is read to keep the connection.
  static constexpr uint64_t kMaxDrained = 1 << 20;

  explicit Gateway(GatewayUser* user) : user_(user) {}

  // Takes from the client's bytes what it can now and returns how much; the
  // rest has to be offered again, once an answer or replies have gone.
  size_t FromClient(base::ByteSpan bytes);
  // Of the application's bytes those that are for the client; fewer than all:
  // broken().
  size_t FromApplication(base::ByteSpan bytes);
  // The application has ended; what the client still says goes nowhere.
  void ApplicationEnded();

  // What is to be said to the client, and not by the application.
  std::string_view reply() const { return reply_; }
  void DropReply(size_t count) { reply_.erase(0, count); }
  // After reply() and the answer under way the client is told no more.
  bool closing() const { return request_ == RequestState::kOver; }
  // Why the last request was bad, or the application's answer.
  const base::Status& error() const { return error_; }
  // The answer under way cannot go on: both sides are to be reset.
  bool broken() const { return broken_; }
  // The application has half a request, and must not take it for a whole one.
  bool cut() const { return cut_; }
  // Part of a request's head has come.
  bool in_head() const {
    return request_ == RequestState::kHead && !head_.empty();
  }
  // All requests taken so far have their whole answers.
  bool answered() const { return !awaiting_; }
  // WebSocket: the request that led to it.
  const RequestHead* upgraded() const {
    return request_ == RequestState::kBytes ? &*current_ : nullptr;
  }

 private:
  enum class RequestState {
    kHead,
    kBody,   // on its way to the application
    kDrain,  // of a denied request
    kDone,   // until the answer is complete
    kBytes,
    kOver,
  };
  enum class ResponseState { kHead, kBody };

  size_t ReadHead(base::ByteSpan bytes);
  size_t ReadBody(base::ByteSpan bytes);
  size_t ReadChunk(base::ByteSpan bytes);
  void Judge(std::string_view text);
  void Deny();
  void Refuse(base::Status why);
  void Reply(std::string_view status, std::string_view body, bool last);
  void BodyEnded();
  void NextRequest();

  size_t ReadAnswerHead(base::ByteSpan bytes);
  size_t ReadAnswerBody(base::ByteSpan bytes);
  void AnswerEnded();

  GatewayUser* const user_;
  RequestState request_ = RequestState::kHead;
  std::string head_;  // begun and not whole
  std::optional<RequestHead> current_;
  ChunkReader chunks_;
  uint64_t left_ = 0;     // of the request's body, with Content-Length
  uint64_t drained_ = 0;  // of a denied one's

  bool awaiting_ = false;  // an answer of the application
  ResponseState response_ = ResponseState::kHead;
  std::string answer_;  // head begun and not whole
  ResponseHead answer_head_;
  ChunkReader answer_chunks_;
  uint64_t answer_left_ = 0;

  std::string reply_;
  base::Status error_;
  bool broken_ = false;
  bool cut_ = false;
};

}  // namespace nodeward::http
