// SPDX-License-Identifier: Apache-2.0
#include "hbone/http_streams.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "hbone/http_channel.h"

namespace nodeward::hbone {
namespace {

// So many reads in a row that bring the client nothing.
constexpr int kRounds = 16;

}  // namespace

base::StatusOr<std::unique_ptr<HttpStreams>> HttpStreams::Create(
    HttpChannel* channel) {
  std::unique_ptr<HttpStreams> made(new HttpStreams(channel));
  NODEWARD_ASSIGN(made->gateway_, http::StreamGateway::Create(made.get()));
  made->gateway_->FromClient(base::AsBytes(http::StreamGateway::kPreface),
                             channel->workshop_->loop().now());
  return made;
}

HttpStreams::~HttpStreams() {
  channel_->workshop_->blocks().AddHeld(-static_cast<int64_t>(counted_));
}

bool HttpStreams::has_answer() const {
  return !made_.empty() || gateway_->wants_client() ||
         (ends() && !channel_->told_end_);
}

// Also for a client that ended without a request.
bool HttpStreams::ends() const {
  return gateway_->client_over() ||
         (channel_->finishing_ && channel_->closed() && gateway_->idle());
}

io::Transfer HttpStreams::Read(base::MutableByteSpan room) {
  for (int round = 0; round < kRounds; ++round) {
    const size_t ready = Produce(room);
    if (ready > 0) {
      FlushApplication();
      return {io::Progress::kBytes, ready};
    }
    if (ends()) return TellEnd();
    if (channel_->closed() || application_ended_) {
      return {io::Progress::kWouldBlock};
    }
    const base::MutableByteSpan input = channel_->workshop_->inner_read_room();
    const io::Transfer got = channel_->ReadSocket(input);
    switch (got.progress) {
      case io::Progress::kReset:
        return got;
      case io::Progress::kWouldBlock:
        FlushApplication();
        return channel_->broken() ? io::Transfer{io::Progress::kReset} : got;
      case io::Progress::kEnd:
        application_ended_ = true;
        gateway_->ApplicationEnded();
        break;
      case io::Progress::kBytes:
        gateway_->FromApplication(input.first(got.count),
                                  channel_->workshop_->loop().now());
        break;
    }
    const size_t made = Produce(room);
    FlushApplication();
    if (made > 0) return {io::Progress::kBytes, made};
    if (channel_->broken()) return {io::Progress::kReset};
  }
  channel_->workshop_->NextRound(channel_);
  return {io::Progress::kWouldBlock};
}

size_t HttpStreams::Produce(base::MutableByteSpan room) {
  if (made_.empty()) {
    if (room.size() >= http::Link::kMaxFrame) return gateway_->ToClient(room);
    const base::MutableByteSpan whole =
        channel_->workshop_->inner_send_room().first(http::Link::kMaxFrame);
    made_ = base::AsText(whole.first(gateway_->ToClient(whole)));
  }
  const size_t count = std::min(room.size(), made_.size());
  if (count == 0) return 0;
  std::memcpy(room.data(), made_.data(), count);
  made_.erase(0, count);
  if (made_.empty()) made_.shrink_to_fit();
  return count;
}

io::Transfer HttpStreams::TellEnd() {
  if (!std::exchange(channel_->told_end_, true)) {
    channel_->timer_.Set(kLinger);
    channel_->outbox_.Clear();
    channel_->Close();
  }
  return {io::Progress::kEnd};
}

void HttpStreams::Send(base::ByteSpan bytes) {
  gateway_->FromClient(bytes, channel_->workshop_->loop().now());
  Wake();
}

void HttpStreams::Flush() {
  FlushApplication();
  // In Flush alone, for its callers compare the backlog before it and after.
  const bool stuck = channel_->outbox_.size() > 0 && gateway_->crowded();
  if (!stuck) channel_->released_ = channel_->sent_;
}

void HttpStreams::FlushApplication() {
  const bool open =
      !channel_->closed() && !channel_->broken() && !channel_->connecting();
  if (open) {
    channel_->Reached();
    Write();
  }
  Hold();
  Wake();
}

void HttpStreams::Write() {
  Outbox& outbox = channel_->outbox_;
  for (;;) {
    if (outbox.size() > 0) {
      if (!channel_->writable_) return;
      const io::Transfer sent = outbox.Flush(channel_->fd());
      if (sent.progress == io::Progress::kReset) {
        return channel_->Break(base::ErrnoStatus(sent.error, "write"));
      }
      if (sent.progress == io::Progress::kWouldBlock) {
        channel_->writable_ = false;
        return;
      }
    }
    const base::MutableByteSpan room = channel_->workshop_->inner_send_room();
    const size_t made = gateway_->ToApplication(room);
    if (made == 0) break;
    outbox.Gather(room.first(made));
  }
  // The client has gone, or the application has broken the rules.
  const bool done = channel_->finishing_ && gateway_->idle();
  if ((done || gateway_->application_over()) && !channel_->shut_) {
    channel_->shut_ = true;
    channel_->timer_.Set(kLinger);
    channel_->Shutdown();
  }
}

void HttpStreams::Hold() {
  gateway_->Hold();
  const size_t held = gateway_->held();
  channel_->workshop_->blocks().AddHeld(static_cast<int64_t>(held) -
                                        static_cast<int64_t>(counted_));
  counted_ = held;
}

void HttpStreams::Finish() {
  gateway_->ClientEnded();
  Wake();
}

void HttpStreams::Wake() {
  if (has_answer()) channel_->workshop_->AtRoundEnd(channel_);
}

http::StreamGatewayUser::Ruling HttpStreams::OnRequest(
    http::RequestHead* request) {
  return channel_->OnRequest(request);
}

void HttpStreams::OnBadRequest(const base::Status& why) {
  channel_->judge_.RecordBad(why);
}

std::string_view HttpStreams::client_cert() {
  return channel_->judge_.client_cert();
}

}  // namespace nodeward::hbone
