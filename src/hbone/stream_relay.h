// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "hbone/channel.h"
#include "hbone/relay.h"
#include "hbone/tap_point.h"
#include "hbone/tunnel.h"
#include "hbone/workshop.h"
#include "http/session.h"

namespace nodeward::hbone {

class StreamRelayUser : public RelayUser {
 public:
  // Client: the answer to the CONNECT.
  virtual void OnStreamResponse(int status) = 0;

 protected:
  ~StreamRelayUser() = default;
};

// Carries bytes between an application's socket and one stream of a tunnel.
// From the application nothing is read before the tunnel can take it, straight
// into the room where its frames are made: no bytes wait here. Towards the
// application at most the stream's window waits. An RST of the application
// becomes RST_STREAM(CONNECT_ERROR), and a stream's reset an RST.
class StreamRelay final : public http::StreamUser,
                          public ChannelUser,
                          public Turn {
 public:
  // While so much lies in one worker's outboxes, the windows of the tunnels
  // (16 MiB each) are not replenished: the senders stop before the memory does.
  static constexpr uint64_t kBudget = 64 << 20;

  // Borrows `application` until OnRelayEnd or Detach.
  StreamRelay(Workshop* workshop, Channel* application, StreamRelayUser* user);
  ~StreamRelay() override { Detach(http::error_code::kCancel); }

  // The stream this is the user of; `tunnel` lives until its OnClose. May be
  // done again after kRefused.
  void Attach(Tunnel* tunnel, int32_t stream);
  bool attached() const { return tunnel_ != nullptr; }
  // Shows `tap` (null: nobody looks) the bytes; it outlives this.
  enum class Client { kApplication, kStream };
  void Show(TapPoint* tap, Client client) {
    tap_ = tap;
    client_ = client;
  }
  // Becomes the application's user: bytes flow. REQUIRES: attached(), and the
  // application is connected.
  void Open();
  // Leaves the stream, with RST_STREAM when it is still there.
  void Detach(uint32_t code);
  // Leaves the stream to an answer that somebody else gives.
  void Abandon();

  // Writes to the application what the tunnel has just received.
  void FlushApplication();

  uint64_t from_application() const { return from_application_; }
  uint64_t from_stream() const { return from_stream_; }
  // After kRefused, or kReset by the peer: the code of its RST_STREAM.
  uint32_t close_code() const { return close_code_; }
  // kReset came from the tunnel and not from the application.
  bool reset_by_stream() const { return reset_by_stream_; }

 private:
  void OnResponse(int status) override { user_->OnStreamResponse(status); }
  void OnData(base::ByteSpan bytes) override;
  void OnEnd() override;
  void OnClose(uint32_t code) override;
  http::Pulled Pull(base::MutableByteSpan room) override;
  void OnChannel() override;
  void OnTurn() override;

  Tunnel* Unlink();
  void Touch();
  void ShowBytes(Client from, base::ByteSpan bytes);
  void Fail();
  void EndWhenDone();
  void End(RelayEnd end);

  Workshop* const workshop_;
  Channel* const application_;
  StreamRelayUser* const user_;
  TapPoint* tap_ = nullptr;
  Client client_ = Client::kApplication;
  Tunnel* tunnel_ = nullptr;
  int32_t stream_ = 0;
  uint32_t close_code_ = 0;
  size_t owed_ = 0;  // bytes of the connection window not given back yet
  uint64_t from_application_ = 0;
  uint64_t from_stream_ = 0;
  bool open_ = false;
  bool touched_ = false;
  bool stream_ended_ = false;  // END_STREAM came
  bool stream_done_ = false;   // the stream ended in order and is gone
  bool reset_by_stream_ = false;
  bool over_ = false;
};

}  // namespace nodeward::hbone
