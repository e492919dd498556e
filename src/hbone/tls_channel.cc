// SPDX-License-Identifier: Apache-2.0
#include "hbone/tls_channel.h"

#include <utility>

namespace nodeward::hbone {
namespace {

// A connection this long without a byte gives its buffers back.
constexpr absl::Duration kQuiet = absl::Seconds(2);

}  // namespace

TlsChannel::TlsChannel(Workshop* workshop, ChannelUser* user,
                       std::shared_ptr<const tls::Context> context,
                       std::vector<model::Identity> expected)
    : Channel(workshop, user),
      context_(std::move(context)),
      expected_(std::move(expected)),
      quiet_(workshop->loop(), [this] { WhenQuiet(); }) {}

TlsChannel::Progress TlsChannel::Handshake() {
  if (broken()) return Progress::kFailed;
  if (connecting()) return Progress::kWaiting;
  if (session_ == nullptr) {
    if (context_->role() == tls::Role::kServer && !readable()) {
      return Progress::kWaiting;
    }
    auto made = tls::Session::Create(context_, expected_);
    if (!made.ok()) {
      Break(made.status());
      return Progress::kFailed;
    }
    session_ = *std::move(made);
  }
  for (;;) {
    const tls::Step step = session_->Handshake();
    Flush();
    if (broken()) return Progress::kFailed;
    switch (step) {
      case tls::Step::kDone:
        NoteActivity();
        return Progress::kDone;
      case tls::Step::kWantInput:
        break;
      case tls::Step::kClosed:
        Break(absl::UnavailableError("TLS handshake: the peer closed"));
        return Progress::kFailed;
      case tls::Step::kFailed:
        Break(session_->error());
        return Progress::kFailed;
    }
    const io::Transfer got = Feed();
    if (got.progress == io::Progress::kWouldBlock) return Progress::kWaiting;
    if (got.progress == io::Progress::kEnd) {
      Break(absl::UnavailableError("TLS handshake: the peer closed"));
    }
    if (broken()) return Progress::kFailed;
  }
}

io::Transfer TlsChannel::Feed() {
  const io::Transfer got = ReadSocket(workshop_->read_room());
  if (got.progress == io::Progress::kBytes) {
    session_->Feed(workshop_->read_room().first(got.count));
  }
  return got;
}

io::Transfer TlsChannel::Read(base::MutableByteSpan room) {
  if (session_ == nullptr) return {io::Progress::kWouldBlock};
  for (;;) {
    if (broken()) return {io::Progress::kReset};
    size_t count = 0;
    switch (session_->Read(room, &count)) {
      case tls::Step::kDone:
        NoteActivity();
        return {io::Progress::kBytes, count};
      case tls::Step::kClosed:
        return {io::Progress::kEnd};
      case tls::Step::kFailed:
        Flush();  // the alert
        Break(session_->error());
        return {io::Progress::kReset};
      case tls::Step::kWantInput:
        break;
    }
    const io::Transfer got = Feed();
    if (got.progress == io::Progress::kEnd) {
      // Anybody on the way can forge a FIN; only close_notify is the peer's.
      Break(absl::UnavailableError("TLS: closed without close_notify"));
      return {io::Progress::kReset};
    }
    if (got.progress != io::Progress::kBytes) return got;
  }
}

void TlsChannel::Rest() {
  if (session_ != nullptr && session_->has_input()) session_->Retain();
}

void TlsChannel::Send(base::ByteSpan bytes) {
  if (broken()) return;
  NoteActivity();
  base::Status written = session_->Write(bytes);
  if (!written.ok()) Break(std::move(written));
}

void TlsChannel::Flush() {
  if (session_ == nullptr) return;
  while (writable_ && !connecting() && !closed()) {
    const base::ByteSpan output = session_->output();
    if (output.empty()) break;
    const io::Transfer sent = io::Write(fd(), output);
    if (sent.progress == io::Progress::kReset) {
      Break(base::ErrnoStatus(sent.error, "write"));
      return;
    }
    session_->DropOutput(sent.count);
    // A short write has armed the edge that tells of new room.
    if (sent.count < output.size()) writable_ = false;
  }
  if (finishing_ && !shut_ && session_->output().empty()) {
    shut_ = true;
    Shutdown();
  }
}

size_t TlsChannel::backlog() const {
  return session_ == nullptr ? 0 : session_->output().size();
}

void TlsChannel::Finish() {
  if (std::exchange(finishing_, true)) return;
  if (session_ != nullptr) session_->Close();
}

void TlsChannel::NoteActivity() {
  active_ = true;
  if (!quiet_.pending()) quiet_.Set(kQuiet);
}

void TlsChannel::WhenQuiet() {
  if (std::exchange(active_, false)) return quiet_.Set(kQuiet);
  session_->Shrink();
}

}  // namespace nodeward::hbone
