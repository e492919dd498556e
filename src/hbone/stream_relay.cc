// SPDX-License-Identifier: Apache-2.0
#include "hbone/stream_relay.h"

#include <algorithm>
#include <utility>

namespace nodeward::hbone {

StreamRelay::StreamRelay(Workshop* workshop, Channel* application,
                         StreamRelayUser* user)
    : workshop_(workshop), application_(application), user_(user) {}

void StreamRelay::Attach(Tunnel* tunnel, int32_t stream) {
  tunnel_ = tunnel;
  stream_ = stream;
}

void StreamRelay::Open() {
  open_ = true;
  application_->set_user(this);
  tunnel_->http().Resume(stream_);
  tunnel_->ScheduleFlush();
  FlushApplication();
}

// Gives the connection window back what it is owed; the tunnel knows us no
// more.
Tunnel* StreamRelay::Unlink() {
  Tunnel* const tunnel = std::exchange(tunnel_, nullptr);
  if (std::exchange(touched_, false)) tunnel->Untouch(this);
  if (tunnel->up()) {
    tunnel->http().ConsumeConnection(std::exchange(owed_, 0));
    tunnel->ScheduleFlush();
  }
  return tunnel;
}

void StreamRelay::Detach(uint32_t code) {
  if (tunnel_ == nullptr) return;
  Tunnel* const tunnel = Unlink();
  // Also of a tunnel that is going down and will tell all its streams' users.
  tunnel->http().Forget(stream_);
  if (tunnel->up()) tunnel->http().Reset(stream_, code);
}

void StreamRelay::Abandon() {
  if (tunnel_ != nullptr) Unlink()->http().Forget(stream_);
}

void StreamRelay::Touch() {
  if (std::exchange(touched_, true)) return;
  tunnel_->Touch(this);
}

void StreamRelay::ShowBytes(Client from, base::ByteSpan bytes) {
  if (from == client_) {
    tap_->FromClient(bytes);
  } else {
    tap_->FromServer(bytes);
  }
}

void StreamRelay::OnData(base::ByteSpan bytes) {
  from_stream_ += bytes.size();
  if (tap_ != nullptr) ShowBytes(Client::kStream, bytes);
  if (workshop_->blocks().held() < kBudget) {
    tunnel_->http().ConsumeConnection(bytes.size());
  } else {
    owed_ += bytes.size();
  }
  application_->Send(bytes);
  Touch();
}

void StreamRelay::OnEnd() {
  stream_ended_ = true;
  application_->Finish();
  Touch();
}

void StreamRelay::OnClose(uint32_t code) {
  close_code_ = code;
  const bool in_order = code == http::error_code::kNoError && stream_ended_;
  // What is borrowed of the tunnel's room ends here at the latest.
  if (touched_ && in_order && open_) application_->Flush();
  Unlink();
  if (!open_) return End(RelayEnd::kRefused);
  if (!in_order) {
    reset_by_stream_ = true;
    return End(RelayEnd::kReset);
  }
  stream_done_ = true;
  if (application_->broken()) return End(RelayEnd::kReset);
  EndWhenDone();
}

http::Pulled StreamRelay::Pull(base::MutableByteSpan room) {
  if (!open_) return {http::Pulled::Kind::kLater, 0};
  const io::Transfer got = application_->Read(room);
  switch (got.progress) {
    case io::Progress::kBytes:
      from_application_ += got.count;
      if (tap_ != nullptr) {
        ShowBytes(Client::kApplication, room.first(got.count));
      }
      return {http::Pulled::Kind::kBytes, got.count};
    case io::Progress::kWouldBlock:
      break;
    case io::Progress::kEnd:
      return {http::Pulled::Kind::kEnd, 0};
    case io::Progress::kReset:
      Fail();
      break;
  }
  return {http::Pulled::Kind::kLater, 0};
}

void StreamRelay::OnChannel() {
  if (over_) return;
  if (application_->broken()) return Fail();
  if (application_->backlog() > 0) FlushApplication();
  if (over_) return;
  if (tunnel_ != nullptr && application_->readable()) {
    tunnel_->http().Resume(stream_);
    tunnel_->ScheduleFlush();
  }
  // The turn comes behind the tunnel's: bytes that arrived before the
  // application's RST are still sent, if the peer takes them.
  if (application_->failing()) workshop_->AtRoundEnd(this);
}

void StreamRelay::OnTurn() {
  if (over_) return;
  if (tunnel_ != nullptr && tunnel_->queued()) {
    return workshop_->NextRound(this);
  }
  Fail();
}

void StreamRelay::FlushApplication() {
  touched_ = false;
  const size_t before = application_->backlog();
  application_->Flush();
  if (application_->broken()) return Fail();
  const size_t written = before - application_->backlog();
  if (tunnel_ != nullptr && written > 0) {
    http::Session& http = tunnel_->http();
    http.Consume(stream_, written);
    const size_t given = std::min(owed_, written);
    owed_ -= given;
    if (given > 0) http.ConsumeConnection(given);
    if (http.wants_send()) tunnel_->ScheduleFlush();
  }
  EndWhenDone();
}

void StreamRelay::Fail() {
  Detach(http::error_code::kConnectError);
  End(RelayEnd::kReset);
}

void StreamRelay::EndWhenDone() {
  if (stream_done_ && application_->backlog() == 0) End(RelayEnd::kClosed);
}

void StreamRelay::End(RelayEnd end) {
  if (end != RelayEnd::kRefused && std::exchange(over_, true)) return;
  if (open_) application_->set_user(nullptr);
  user_->OnRelayEnd(end);
}

}  // namespace nodeward::hbone
