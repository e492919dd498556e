// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/status.h"
#include "hbone/outbox.h"
#include "hbone/workshop.h"
#include "io/loop.h"
#include "io/socket.h"

namespace nodeward::hbone {

// Told when something has changed on a channel: there are bytes or an end to
// be read, there is room for what was left over, the connect is done, or the
// connection is broken. Spurious calls happen.
class ChannelUser {
 public:
  virtual void OnChannel() = 0;

 protected:
  ~ChannelUser() = default;
};

// Small writes leave at once, and a dead peer is noticed. For sockets that lead
// out of the pod; what a listening one accepts has it from there (Linux:
// tcp_create_openreq_child).
void TuneForNetwork(int fd);

// One TCP connection on its worker's loop, bare (TcpChannel) or under TLS
// (TlsChannel). Watched edge-triggered, once, for everything.
//
// Reading: until kWouldBlock, else nobody calls again. Who stops earlier (for
// want of room elsewhere) calls Rest, and reads on of himself later.
class Channel : public io::Watcher {
 public:
  virtual ~Channel();

  // Takes a connected socket, or one whose connect is under way. An error
  // closes it.
  base::Status Open(base::Fd fd, bool connecting);
  void set_user(ChannelUser* user) { user_ = user; }

  // kBytes with `count` > 0; kEnd once the peer has ended its direction.
  virtual io::Transfer Read(base::MutableByteSpan room) = 0;
  virtual void Rest() {}
  // Puts `bytes` behind what is there; they are borrowed until Flush.
  virtual void Send(base::ByteSpan bytes) = 0;
  // Writes what the socket takes now. Looks at broken() afterwards.
  virtual void Flush() = 0;
  // What Send took and the socket did not yet.
  virtual size_t backlog() const = 0;
  // FIN behind the backlog, with the next Flush that empties it.
  virtual void Finish() = 0;

  // RST; unsent bytes are dropped. The channel is closed.
  void Reset();
  // Ordinary close. The channel is closed.
  void Close();
  // Gives the socket up, as it is. The channel is closed.
  base::Fd Release();

  int fd() const { return fd_.get(); }
  bool closed() const { return !fd_.valid(); }
  bool connecting() const { return connecting_; }
  virtual bool readable() const { return readable_; }
  // The connection is gone, or could not be made; error() says why.
  bool broken() const { return broken_; }
  // The kernel has reported an error, so the connection is dead for writing;
  // bytes that came before can still be read.
  bool failing() const { return failing_; }
  const base::Status& error() const { return error_; }

 protected:
  Channel(Workshop* workshop, ChannelUser* user)
      : workshop_(workshop), user_(user) {}

  // From the socket, with the bookkeeping of edges.
  io::Transfer ReadSocket(base::MutableByteSpan room);
  void Break(base::Status why);
  void Shutdown();
  // Tells the user that something has changed.
  void Notify();
  // The socket has changed; before the user is told.
  virtual void OnEdge() {}

  Workshop* const workshop_;
  bool writable_ = false;

 private:
  void OnEvents(uint32_t events) final;

  ChannelUser* user_;
  base::Fd fd_;
  base::Status error_;
  bool connecting_ = false;
  bool readable_ = false;
  // The kernel has hinted at more than bytes (FIN, error, urgent data): only
  // EAGAIN means drained. Otherwise a short read does: what comes later is an
  // edge of its own.
  bool drain_fully_ = false;
  bool broken_ = false;
  bool failing_ = false;
};

// A bare socket.
class TcpChannel final : public Channel {
 public:
  TcpChannel(Workshop* workshop, ChannelUser* user)
      : Channel(workshop, user), outbox_(&workshop->blocks()) {}

  io::Transfer Read(base::MutableByteSpan room) override;
  void Send(base::ByteSpan bytes) override { outbox_.Gather(bytes); }
  void Flush() override;
  size_t backlog() const override { return outbox_.size(); }
  void Finish() override { finishing_ = true; }

 private:
  Outbox outbox_;
  bool finishing_ = false;
  bool shut_ = false;
};

}  // namespace nodeward::hbone
