// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/fd.h"
#include "base/status.h"
#include "hbone/tls_channel.h"
#include "hbone/workshop.h"
#include "http/session.h"
#include "io/loop.h"
#include "observe/flow.h"
#include "tls/context.h"

namespace nodeward::hbone {

class StreamRelay;

// The owner of a tunnel.
class TunnelUser {
 public:
  // The peer is verified; streams can be opened, or will come.
  virtual void OnTunnelUp() = 0;
  // Server.
  virtual void OnTunnelRequest(int32_t stream, http::Request request) = 0;
  // Client: no further streams on this tunnel.
  virtual void OnTunnelGoaway() = 0;
  // Client: tunnel.http().max_streams() may have changed.
  virtual void OnTunnelSettings() = 0;
  // It is no more, and its streams have heard OnClose. Called once, possibly
  // from inside a call of the user's own; let go of it by Workshop::Retire.
  virtual void OnTunnelDown(const base::Status& why) = 0;

 protected:
  ~TunnelUser() = default;
};

// One HTTP/2 connection over mutual TLS, either side. All output of a round
// leaves with one send. At most kMaxBacklog and one batch of frames (64 KiB)
// wait for the socket; what streams receive is bounded by their windows.
class Tunnel final : public ChannelUser,
                     public http::SessionUser,
                     public Turn,
                     public Retirable {
 public:
  static constexpr size_t kMaxBacklog = 256 << 10;

  struct Options {
    absl::Duration connect_timeout;
    absl::Duration handshake_timeout;
    absl::Duration ping_interval;
    absl::Duration ping_timeout;
    uint32_t stream_window = 1 << 20;
  };

  // The side is the context's role. `user` outlives it.
  Tunnel(Workshop* workshop, TunnelUser* user, Options options,
         std::shared_ptr<const tls::Context> context,
         std::vector<model::Identity> expected);
  ~Tunnel() override;

  // Client: `fd` is connecting. Server: accepted. An error: it never was; the
  // user hears nothing.
  base::Status Start(base::Fd fd);
  bool up() const { return http_ != nullptr && !down_; }
  bool down() const { return down_; }
  const base::Status& why() const { return why_; }  // it is down
  // The peer was reached (client: the TCP connection stood).
  bool connected() const { return connected_; }

  // REQUIRES: it was up once. After calls that make output, ScheduleFlush.
  http::Session& http() { return *http_; }
  const tls::Session* tls() const { return channel_.session(); }
  // The verified peer, for the flows of its streams; null before it is up.
  const std::shared_ptr<const model::Identity>& peer() const { return peer_; }
  void ScheduleFlush() { workshop_->AtRoundEnd(this); }
  // Whether PINGs are sent while the peer is silent.
  void set_watched(bool watched) { watched_ = watched; }
  // `relay` has bytes for its socket that are borrowed until the end of the
  // current Receive.
  void Touch(StreamRelay* relay) { touched_.push_back(relay); }
  // Takes `relay` out again, for when it dies.
  void Untouch(StreamRelay* relay);

  // GOAWAY; streams under way go on.
  void Drain();
  // GOAWAY and an ordinary close at the end of the round. Streams hear OnClose.
  void Close();
  // RST, now. Streams hear OnClose. Not from inside a stream's callback.
  // `loss` is how they record it.
  void Abort(observe::Outcome loss, const std::string& why);
  // What became of streams that ended with the tunnel.
  observe::Outcome loss() const { return loss_; }

 private:
  void OnChannel() override;
  void OnTurn() override;
  void OnRequest(int32_t stream, http::Request request) override;
  void OnGoaway(int32_t last_stream, uint32_t code) override;
  void OnSettings() override;
  base::MutableByteSpan PullRoom() override;
  bool Write(base::ByteSpan frame) override;

  bool GoUp();
  bool ReadAll();
  void FlushTouched();
  void FlushAll();
  void Encrypt();
  void Down(base::Status why, bool reset);
  void OnTimer();

  Workshop* const workshop_;
  TunnelUser* const user_;
  const Options options_;
  const http::Role role_;
  TlsChannel channel_;
  std::unique_ptr<http::Session> http_;
  io::Timer timer_;  // connect, then handshake, then PING
  std::vector<StreamRelay*> touched_;
  size_t packed_ = 0;      // bytes of frames in send_room
  absl::Duration heard_;   // when the peer last sent anything
  absl::Duration pinged_;  // when the unanswered PING was sent
  bool ping_pending_ = false;
  bool watched_ = true;
  bool connected_ = false;
  bool draining_ = false;
  bool closing_ = false;
  std::shared_ptr<const model::Identity> peer_;
  bool down_ = false;
  observe::Outcome loss_ = observe::Outcome::kTunnelLost;
  base::Status why_;
};

}  // namespace nodeward::hbone
