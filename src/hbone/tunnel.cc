// SPDX-License-Identifier: Apache-2.0
#include "hbone/tunnel.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.h"
#include "hbone/stream_relay.h"

namespace nodeward::hbone {
namespace {

// So many fills of a room in a row, then it is the others' turn.
constexpr int kReadRounds = 8;
constexpr int kSendRounds = 16;
// With less room than this the frames packed so far are encrypted first: small
// payloads would make small records.
constexpr size_t kLeastRoom = 4 << 10;

}  // namespace

Tunnel::Tunnel(Workshop* workshop, TunnelUser* user, Options options,
               std::shared_ptr<const tls::Context> context,
               std::vector<model::Identity> expected)
    : workshop_(workshop),
      user_(user),
      options_(options),
      role_(context->role() == tls::Role::kClient ? http::Role::kClient
                                                  : http::Role::kServer),
      channel_(workshop, this, std::move(context), std::move(expected)),
      timer_(workshop->loop(), [this] { OnTimer(); }) {}

Tunnel::~Tunnel() = default;

base::Status Tunnel::Start(base::Fd fd) {
  const bool client = role_ == http::Role::kClient;
  if (client) TuneForNetwork(fd.get());
  NODEWARD_TRY(channel_.Open(std::move(fd), client));
  connected_ = !client;
  timer_.Set(client ? options_.connect_timeout : options_.handshake_timeout);
  return base::OkStatus();
}

void Tunnel::Untouch(StreamRelay* relay) {
  std::replace(touched_.begin(), touched_.end(), relay,
               static_cast<StreamRelay*>(nullptr));
}

void Tunnel::OnChannel() {
  if (down_) return;
  if (!connected_ && !channel_.connecting() && !channel_.broken()) {
    connected_ = true;
    timer_.Set(options_.handshake_timeout);
  }
  if (http_ == nullptr && !GoUp()) return;
  if (!ReadAll()) return;
  if (http_->wants_send() || http_->finished() || channel_.backlog() > 0) {
    ScheduleFlush();
  }
}

void Tunnel::OnTurn() {
  if (down_) return;
  if (http_ == nullptr) {
    if (closing_) Down(absl::CancelledError("closed"), true);
    return;
  }
  if (channel_.has_more() && !ReadAll()) return;
  if (closing_) return Down(absl::CancelledError("closed"), false);
  FlushAll();
}

// True once the handshake is done and HTTP/2 runs.
bool Tunnel::GoUp() {
  switch (channel_.Handshake()) {
    case TlsChannel::Progress::kWaiting:
      return false;
    case TlsChannel::Progress::kFailed:
      Down(channel_.error(), false);
      return false;
    case TlsChannel::Progress::kDone:
      break;
  }
  http::Session::Options options;
  options.stream_window = options_.stream_window;
  auto made = http::Session::Create(role_, options, this);
  if (!made.ok()) {
    Down(made.status(), true);
    return false;
  }
  http_ = *std::move(made);
  peer_ = std::make_shared<const model::Identity>(*tls()->peer());
  heard_ = workshop_->loop().now();
  timer_.Set(options_.ping_interval);
  user_->OnTunnelUp();
  return !down_;
}

bool Tunnel::ReadAll() {
  const base::MutableByteSpan room = workshop_->plain_room();
  for (int round = 0; round < kReadRounds; ++round) {
    const io::Transfer got = channel_.Read(room);
    switch (got.progress) {
      case io::Progress::kWouldBlock:
        return true;
      case io::Progress::kEnd:
        Down(absl::UnavailableError("the peer closed the tunnel"), false);
        return false;
      case io::Progress::kReset:
        Down(channel_.error(), false);
        return false;
      case io::Progress::kBytes:
        break;
    }
    heard_ = workshop_->loop().now();
    ping_pending_ = false;
    const base::Status taken =
        http_->Receive(room.first(got.count), workshop_->loop().now());
    if (down_) return false;
    FlushTouched();
    if (down_) return false;
    if (!taken.ok()) {
      Down(taken, false);
      return false;
    }
  }
  channel_.Rest();
  workshop_->NextRound(this);
  return true;
}

// The payload in plain_room is borrowed by the streams it belongs to.
void Tunnel::FlushTouched() {
  // By index: a relay that ends takes itself out.
  for (size_t i = 0; i < touched_.size(); ++i) {
    if (touched_[i] != nullptr) touched_[i]->FlushApplication();
  }
  touched_.clear();
}

void Tunnel::FlushAll() {
  for (int round = 0; round < kSendRounds; ++round) {
    if (http_->wants_send() && channel_.backlog() < kMaxBacklog) {
      const base::Status sent = http_->Send();
      Encrypt();
      if (down_) return;
      if (!sent.ok()) return Down(sent, false);
    }
    channel_.Flush();
    if (channel_.broken()) return Down(channel_.error(), false);
    if (channel_.backlog() > 0) return;  // the socket will tell
    if (!http_->wants_send()) {
      if (http_->finished()) {
        Down(absl::UnavailableError("the tunnel was closed by GOAWAY"), false);
      }
      return;
    }
  }
  workshop_->NextRound(this);
}

base::MutableByteSpan Tunnel::PullRoom() {
  const base::MutableByteSpan room = workshop_->send_room();
  if (room.size() - packed_ < kLeastRoom) Encrypt();
  return room.subspan(packed_ + http::Session::kFrameHeader);
}

bool Tunnel::Write(base::ByteSpan frame) {
  const base::MutableByteSpan room = workshop_->send_room();
  if (frame.data() != room.data() + packed_) {
    if (frame.size() > room.size() - packed_) Encrypt();
    if (frame.size() > room.size()) {
      channel_.Send(frame);
      return channel_.backlog() < kMaxBacklog;
    }
    std::memcpy(room.data() + packed_, frame.data(), frame.size());
  }
  packed_ += frame.size();
  if (room.size() - packed_ < kLeastRoom) Encrypt();
  return channel_.backlog() < kMaxBacklog;
}

void Tunnel::Encrypt() {
  const size_t size = std::exchange(packed_, 0);
  if (size > 0) channel_.Send(workshop_->send_room().first(size));
}

void Tunnel::OnRequest(int32_t stream, http::Request request) {
  user_->OnTunnelRequest(stream, std::move(request));
}

void Tunnel::OnGoaway(int32_t, uint32_t) { user_->OnTunnelGoaway(); }

void Tunnel::OnSettings() { user_->OnTunnelSettings(); }

void Tunnel::Drain() {
  if (!up() || std::exchange(draining_, true)) return;
  http_->GoawayGracefully();
  ScheduleFlush();
}

void Tunnel::Close() {
  if (down_) return;
  closing_ = true;
  if (up()) http_->Terminate(http::error_code::kNoError);
  workshop_->AtRoundEnd(this);
}

void Tunnel::Abort(observe::Outcome loss, const std::string& why) {
  if (down_) return;
  loss_ = loss;
  Down(absl::CancelledError(why), true);
}

void Tunnel::Down(base::Status why, bool reset) {
  if (std::exchange(down_, true)) return;
  why_ = std::move(why);
  timer_.Cancel();
  if (http_ != nullptr && !reset && !channel_.broken()) {
    // A GOAWAY that tells why, as far as the socket takes it.
    const base::Status last = http_->Send();
    Encrypt();
    if (last.ok()) {
      channel_.Finish();
      channel_.Flush();
    }
  }
  if (reset) {
    channel_.Reset();
  } else {
    channel_.Close();
  }
  if (http_ != nullptr) http_->Abandon(http::error_code::kInternalError);
  user_->OnTunnelDown(why_);
}

void Tunnel::OnTimer() {
  if (!connected_) {
    return Down(absl::DeadlineExceededError("connect: no answer"), true);
  }
  if (http_ == nullptr) {
    return Down(absl::DeadlineExceededError("TLS handshake: no end in time"),
                true);
  }
  const absl::Duration now = workshop_->loop().now();
  if (ping_pending_ && now - pinged_ >= options_.ping_timeout) {
    return Down(absl::DeadlineExceededError(
                    base::StrCat("the peer has answered no PING for ",
                                 absl::FormatDuration(now - heard_))),
                true);
  }
  if (watched_ && !ping_pending_ && now - heard_ >= options_.ping_interval) {
    ping_pending_ = true;
    pinged_ = now;
    http_->Ping();
    ScheduleFlush();
  }
  timer_.Set(ping_pending_
                 ? std::min(options_.ping_interval, options_.ping_timeout)
                 : options_.ping_interval);
}

}  // namespace nodeward::hbone
