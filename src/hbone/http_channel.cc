// SPDX-License-Identifier: Apache-2.0
#include "hbone/http_channel.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "hbone/http_streams.h"
#include "hbone/worker.h"

namespace nodeward::hbone {
HttpChannel::HttpChannel(Workshop* workshop, ChannelUser* user, Worker* worker,
                         Pod* pod, const observe::Flow* flow, Dial dial)
    : Channel(workshop, user),
      gateway_(this),
      judge_(worker, pod, flow),
      dial_(std::move(dial)),
      dial_timeout_(worker->options().connect_timeout),
      outbox_(&workshop->blocks()),
      timer_(workshop->loop(), [this] { OnTimer(); }),
      head_deadline_(worker->options().head_deadline),
      head_timer_(workshop->loop(), [this] { OnSlowHead(); }) {}

HttpChannel::~HttpChannel() { DropPending(pending().size()); }

std::optional<policy::Verdict> HttpChannel::Denial() const {
  const http::RequestHead* const request = gateway_.upgraded();
  if (request == nullptr) return std::nullopt;
  return judge_.Denial(*request);
}

bool HttpChannel::readable() const {
  if (streams_ != nullptr && streams_->has_answer()) return true;
  return (streams_ == nullptr && has_answer()) || Channel::readable();
}

bool HttpChannel::ends() const {
  return gateway_.answered() &&
         (gateway_.closing() ||
          (finishing_ && closed() && pending().empty() && !connecting()));
}

bool HttpChannel::has_answer() const {
  if (gateway_.broken() && !broken()) return true;
  return gateway_.answered() &&
         (!gateway_.reply().empty() || (ends() && !told_end_));
}

io::Transfer HttpChannel::Read(base::MutableByteSpan room) {
  if (broken()) return {io::Progress::kReset};
  if (streams_ != nullptr) return streams_->Read(room);
  if (!decided_ && !closed() && !ApplicationLeft()) {
    return {io::Progress::kWouldBlock};
  }
  if (gateway_.broken()) {
    Break(gateway_.error());
    return {io::Progress::kReset};
  }
  if (gateway_.answered() && !gateway_.reply().empty()) {
    const std::string_view reply = gateway_.reply();
    const size_t count = std::min(room.size(), reply.size());
    std::memcpy(room.data(), reply.data(), count);
    gateway_.DropReply(count);
    Wake();
    return {io::Progress::kBytes, count};
  }
  if (ends()) {
    if (!std::exchange(told_end_, true)) timer_.Set(HttpStreams::kLinger);
    return {io::Progress::kEnd};
  }
  if (closed()) return {io::Progress::kWouldBlock};
  const io::Transfer got = ReadSocket(room);
  switch (got.progress) {
    case io::Progress::kWouldBlock:
    case io::Progress::kReset:
      return got;
    case io::Progress::kEnd:
      gateway_.ApplicationEnded();
      DropPending(pending().size());
      if (backlog() > 0) workshop_->AtRoundEnd(this);  // it is gone
      told_end_ = true;
      if (gateway_.reply().empty()) return got;
      told_end_ = false;
      return Read(room);
    case io::Progress::kBytes:
      break;
  }
  const size_t count = gateway_.FromApplication(room.first(got.count));
  Wake();
  if (count > 0) return {io::Progress::kBytes, count};
  Break(gateway_.error());
  return {io::Progress::kReset};
}

bool HttpChannel::ApplicationLeft() {
  if (connecting() || !Channel::readable()) return false;
  uint8_t byte = 0;
  const io::Progress seen = io::Peek(fd(), {&byte, 1}).progress;
  return seen == io::Progress::kEnd || seen == io::Progress::kReset;
}

void HttpChannel::Send(base::ByteSpan bytes) {
  if (broken()) return;
  sent_ += bytes.size();
  if (decided_ || Decide(&bytes)) {
    if (streams_ != nullptr) {
      streams_->Send(bytes);
    } else {
      const size_t taken = pending().empty() ? Offer(bytes) : 0;
      Keep(bytes.subspan(taken));
      Wake();
    }
  }
  WatchHead();
}

void HttpChannel::WatchHead() {
  const bool begun = streams_ != nullptr ? streams_->in_head()
                     : decided_          ? gateway_.in_head()
                                         : !opening_.empty();
  if (!begun) {
    head_timer_.Cancel();
  } else if (!head_timer_.pending()) {
    head_timer_.Set(head_deadline_);
  }
}

void HttpChannel::OnSlowHead() {
  Break(absl::DeadlineExceededError("read HTTP request: its head takes long"));
  judge_.RecordBad(error());
  Notify();
}

bool HttpChannel::Decide(base::ByteSpan* bytes) {
  const std::string_view missing =
      http::StreamGateway::kPreface.substr(opening_.size());
  const std::string_view next = base::AsText(*bytes).substr(0, missing.size());
  const bool alike = missing.starts_with(next);
  if (alike && next.size() < missing.size()) {
    opening_ += next;
    return false;
  }
  decided_ = true;
  // The application may have been the first to speak.
  workshop_->AtRoundEnd(this);
  if (!alike) {
    Keep(base::AsBytes(std::exchange(opening_, {})));
    return true;
  }
  opening_ = {};
  *bytes = bytes->subspan(next.size());
  auto made = HttpStreams::Create(this);
  if (!made.ok()) {
    Break(made.status());
    return false;
  }
  streams_ = *std::move(made);
  return true;
}

size_t HttpChannel::Offer(base::ByteSpan bytes) {
  input_ = bytes;
  const size_t taken = gateway_.FromClient(bytes);
  input_ = {};
  NoteRefusal();
  return taken;
}

void HttpChannel::NoteRefusal() {
  if (!gateway_.closing() && !gateway_.cut()) return;
  if (!gateway_.error().ok() && !std::exchange(refusal_noted_, true)) {
    judge_.RecordBad(gateway_.error());
  }
  // What the application has of a request that is cut must not look whole.
  if (gateway_.cut()) {
    outbox_.Clear();
    Reset();
  } else if (gateway_.closing() && gateway_.answered() && !told_end_) {
    Close();
  }
}

void HttpChannel::Advance() {
  if (pending().empty()) return;
  const size_t taken = Offer(base::AsBytes(pending()));
  outbox_.Hold();  // it borrows from pending_
  DropPending(taken);
  WatchHead();
  Wake();
}

void HttpChannel::Keep(base::ByteSpan bytes) {
  if (bytes.empty()) return;
  pending_ += base::AsText(bytes);
  workshop_->blocks().AddHeld(static_cast<int64_t>(bytes.size()));
}

void HttpChannel::DropPending(size_t count) {
  if (count == 0) return;
  workshop_->blocks().AddHeld(-static_cast<int64_t>(count));
  looked_at_ += count;
  // Half at a time, or requests in a row would each move all that follow.
  if (looked_at_ * 2 < pending_.size()) return;
  pending_.erase(0, std::exchange(looked_at_, 0));
  // An idle connection has no buffer.
  if (pending_.empty()) pending_.shrink_to_fit();
}

http::GatewayUser::Ruling HttpChannel::OnRequest(http::RequestHead* request) {
  const Ruling ruling = judge_.Judge(request);
  if (ruling != Ruling::kForward || !closed()) return ruling;
  auto fd = dial_();
  base::Status status = fd.status();
  if (status.ok()) status = Open(*std::move(fd), true);
  unreachable_ = true;  // until it is reached
  timer_.Set(dial_timeout_);
  if (!status.ok()) {
    Break(std::move(status));
    return Ruling::kUnheard;
  }
  return ruling;
}

void HttpChannel::ToApplication(base::ByteSpan bytes) {
  outbox_.Gather(bytes);
  const bool borrowed =
      bytes.data() >= input_.data() &&
      bytes.data() + bytes.size() <= input_.data() + input_.size();
  if (!borrowed) outbox_.Hold();
}

void HttpChannel::Flush() {
  if (streams_ != nullptr) return streams_->Flush();
  Advance();
  const bool open = !closed() && !broken() && !connecting();
  if (open) Reached();
  if (!open) {
    outbox_.Hold();
  } else if (outbox_.size() > 0) {
    if (!writable_) {
      outbox_.Hold();
    } else {
      const io::Transfer sent = outbox_.Flush(fd());
      if (sent.progress == io::Progress::kReset) {
        return Break(base::ErrnoStatus(sent.error, "write"));
      }
      if (sent.progress == io::Progress::kWouldBlock) writable_ = false;
    }
  }
  Release();
  if (finishing_ && open && pending().empty() && outbox_.size() == 0 &&
      !std::exchange(shut_, true)) {
    Shutdown();
  }
}

// What of the client's bytes is gone; by Flush alone, for its callers compare
// the backlog before it and after it. What they became on their way may be
// longer, so that only the last of it tells of the last of them.
void HttpChannel::Release() {
  const uint64_t read = sent_ - pending().size();
  const uint64_t waiting = std::min<uint64_t>(outbox_.size(), read);
  released_ = std::max(released_, read - waiting);
}

size_t HttpChannel::backlog() const {
  const uint64_t left = sent_ - released_;
  if (streams_ != nullptr) return left;
  return left == 0 && outbox_.size() > 0 ? 1 : left;
}

void HttpChannel::Finish() {
  finishing_ = true;
  if (streams_ != nullptr) return streams_->Finish();
  Wake();
}

void HttpChannel::Wake() {
  if (has_answer() || (!pending().empty() && gateway_.answered())) {
    workshop_->AtRoundEnd(this);
  }
}

void HttpChannel::OnTurn() { Notify(); }

void HttpChannel::OnEdge() {
  if (streams_ != nullptr) streams_->FlushApplication();
}

void HttpChannel::Reached() {
  if (std::exchange(unreachable_, false)) timer_.Cancel();
}

void HttpChannel::OnTimer() {
  if (connecting()) {
    Break(absl::DeadlineExceededError("the application: no answer"));
    return Notify();
  }
  Break(absl::DeadlineExceededError("the client goes on after the end"));
  Notify();
}

}  // namespace nodeward::hbone
