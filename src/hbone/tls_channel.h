// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "hbone/channel.h"
#include "io/loop.h"
#include "model/identity.h"
#include "tls/context.h"
#include "tls/session.h"

namespace nodeward::hbone {

// A socket under TLS. Holds no session before the peer's first bytes (server)
// or the connect (client), and no buffers while it is idle.
class TlsChannel final : public Channel {
 public:
  enum class Progress { kWaiting, kDone, kFailed };

  TlsChannel(Workshop* workshop, ChannelUser* user,
             std::shared_ptr<const tls::Context> context,
             std::vector<model::Identity> expected);

  // Goes on with the handshake, reading and writing the socket; call it from
  // OnChannel until it is not kWaiting. kFailed: broken(), error() tells why.
  // Its last flight, or an alert, may still lie in the backlog.
  Progress Handshake();
  // Null before the handshake has begun.
  const tls::Session* session() const { return session_.get(); }

  // Whether Read could come to anything now.
  bool has_more() const {
    return readable() || (session_ != nullptr && session_->has_input());
  }
  io::Transfer Read(base::MutableByteSpan room) override;
  // Keeps what was read from the socket and not yet decrypted.
  void Rest() override;
  void Send(base::ByteSpan bytes) override;
  void Flush() override;
  size_t backlog() const override;
  void Finish() override;

 private:
  // Reads ciphertext and feeds it; false when there is none now.
  io::Transfer Feed();
  void NoteActivity();
  void WhenQuiet();

  std::shared_ptr<const tls::Context> context_;
  std::vector<model::Identity> expected_;
  std::unique_ptr<tls::Session> session_;
  io::Timer quiet_;
  bool active_ = false;
  bool finishing_ = false;
  bool shut_ = false;
};

}  // namespace nodeward::hbone
