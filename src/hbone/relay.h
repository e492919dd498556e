// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "hbone/channel.h"
#include "hbone/tap_point.h"
#include "hbone/workshop.h"

namespace nodeward::hbone {

// How a relayed connection came to its end.
enum class RelayEnd {
  kClosed,   // both directions ended by FIN, and all bytes were handed over
  kReset,    // one side broke; the other must be reset
  kRefused,  // a stream that was closed before it carried anything
};

class RelayUser {
 public:
  // Called once, possibly from inside a call of the user's own. The user closes
  // the channels and lets go of the relay by Workshop::Retire.
  virtual void OnRelayEnd(RelayEnd end) = 0;

 protected:
  ~RelayUser() = default;
};

// Carries bytes between two channels. Each direction ends for itself; a broken
// side ends both. A reader that stops stops the writer: at most kLimit bytes
// (and for TLS their record overhead) wait in here a direction, and none while
// the connection is idle.
class Relay final : public ChannelUser, public Turn {
 public:
  static constexpr size_t kLimit = 64 << 10;

  // Borrows both channels until OnRelayEnd, and `tap` (null: nobody looks).
  Relay(Workshop* workshop, Channel* client, Channel* server, RelayUser* user,
        TapPoint* tap = nullptr);

  // Becomes the user of both channels and begins.
  void Start();

  uint64_t bytes_sent() const { return up_.count; }        // client to server
  uint64_t bytes_received() const { return down_.count; }  // server to client

 private:
  struct Direction {
    Channel* from;
    Channel* to;
    uint64_t count = 0;
    bool ended = false;  // the FIN was read and passed on
  };
  void OnChannel() override { Pump(); }
  void OnTurn() override { Pump(); }
  void Pump();
  // False: one side is broken.
  bool Carry(Direction* direction);
  void Show(const Direction& direction, base::ByteSpan bytes);
  void End(RelayEnd end);

  Workshop* const workshop_;
  RelayUser* const user_;
  TapPoint* const tap_;
  Direction up_;
  Direction down_;
  bool over_ = false;
  bool more_ = false;  // stopped reading only to let others have their turn
};

}  // namespace nodeward::hbone
