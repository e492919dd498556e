// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/status.h"
#include "hbone/channel.h"
#include "hbone/outbox.h"
#include "hbone/request_judge.h"
#include "http/gateway.h"
#include "io/loop.h"

namespace nodeward::hbone {

class HttpStreams;

// An application that gets only the requests that policy allows: what is sent
// here is the client's HTTP, and what is read here the answers to it. Refused
// requests are answered here, and the application sees nothing of them: it is
// dialled with the first that is allowed, unless it was opened before. A client
// that begins with the preface of HTTP/2 speaks that, and so does the
// application then (HttpStreams); all others speak HTTP/1.
//
// backlog() counts the client's bytes that the application has not got: a
// request waits in here while the one before has no whole answer. The user
// stops sending when there are any, as with every channel.
class HttpChannel final : public Channel,
                          public Turn,
                          private http::GatewayUser {
 public:
  using Dial = std::function<base::StatusOr<base::Fd>()>;

  // `flow`, the connection's, outlives it.
  HttpChannel(Workshop* workshop, ChannelUser* user, Worker* worker, Pod* pod,
              const observe::Flow* flow, Dial dial);
  ~HttpChannel() override;

  RequestJudge& judge() { return judge_; }
  // Whether it broke because there is no application.
  bool unreachable() const { return unreachable_ && broken(); }
  // The request that made it a stream of bytes is not allowed (any more).
  std::optional<policy::Verdict> Denial() const;

  bool readable() const override;
  io::Transfer Read(base::MutableByteSpan room) override;
  void Send(base::ByteSpan bytes) override;
  void Flush() override;
  size_t backlog() const override;
  void Finish() override;

 private:
  friend class HttpStreams;

  Ruling OnRequest(http::RequestHead* request) override;
  void ToApplication(base::ByteSpan bytes) override;
  std::string_view client_cert() override { return judge_.client_cert(); }
  void OnTurn() override;
  void OnEdge() override;

  // Which version is it? Takes bytes from the front of `bytes` that belong to
  // the preface, or may. False while nobody knows.
  bool Decide(base::ByteSpan* bytes);
  // Until that is known nobody reads what it says; its SETTINGS, maybe.
  bool ApplicationLeft();
  // Offers `bytes` to the gateway; how many it took.
  size_t Offer(base::ByteSpan bytes);
  void Advance();
  void Keep(base::ByteSpan bytes);
  void DropPending(size_t count);
  // Of the client, not looked at yet.
  std::string_view pending() const {
    return std::string_view(pending_).substr(looked_at_);
  }
  void NoteRefusal();
  // Something of our own to be read: a reply, the end or a reset.
  bool has_answer() const;
  bool ends() const;
  void Wake();
  void Reached();
  void Release();
  void OnTimer();
  // A head that has begun may not take for ever.
  void WatchHead();
  void OnSlowHead();

  http::Gateway gateway_;
  std::unique_ptr<HttpStreams> streams_;  // HTTP/2
  bool decided_ = false;
  std::string opening_;  // until then
  RequestJudge judge_;
  const Dial dial_;
  const absl::Duration dial_timeout_;
  Outbox outbox_;
  std::string pending_;   // behind what is done with
  size_t looked_at_ = 0;  // of pending_: done with
  base::ByteSpan input_;  // what the gateway reads now
  uint64_t sent_ = 0;     // by the client
  uint64_t released_ = 0;
  io::Timer timer_;  // for the dial; then for a client that does not end
  const absl::Duration head_deadline_;
  io::Timer head_timer_;
  bool finishing_ = false;
  bool shut_ = false;
  bool unreachable_ = false;
  bool refusal_noted_ = false;
  bool told_end_ = false;
};

}  // namespace nodeward::hbone
