// SPDX-License-Identifier: Apache-2.0
#include "hbone/channel.h"

#include <sys/epoll.h>

#include <utility>

namespace nodeward::hbone {
namespace {

constexpr uint32_t kInterest =
    EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
constexpr uint32_t kMoreThanBytes = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;

// ztunnel's and Linux operators' usual numbers: a dead peer of an idle
// connection is noticed within half an hour.
constexpr absl::Duration kKeepAliveIdle = absl::Seconds(180);
constexpr absl::Duration kKeepAliveInterval = absl::Seconds(180);
constexpr int kKeepAliveProbes = 9;

}  // namespace

void TuneForNetwork(int fd) {
  io::SetNoDelay(fd);
  io::SetKeepAlive(fd, kKeepAliveIdle, kKeepAliveInterval, kKeepAliveProbes);
}

Channel::~Channel() { Close(); }

base::Status Channel::Open(base::Fd fd, bool connecting) {
  fd_ = std::move(fd);
  connecting_ = connecting;
  // A new socket has room; whether it has bytes, its first edge tells.
  writable_ = !connecting;
  base::Status added = workshop_->loop().Add(fd_.get(), kInterest, this);
  if (!added.ok()) fd_.Reset();
  return added;
}

void Channel::OnEvents(uint32_t events) {
  if ((events & EPOLLERR) != 0) failing_ = true;
  if ((events & kMoreThanBytes) != 0) drain_fully_ = true;
  if (connecting_ && (events & (EPOLLOUT | kMoreThanBytes)) != 0) {
    const base::Status result = io::ConnectResult(fd_.get());
    connecting_ = false;
    if (!result.ok()) Break(result);
  }
  if ((events & (EPOLLIN | kMoreThanBytes)) != 0) readable_ = true;
  if ((events & EPOLLOUT) != 0) writable_ = true;
  OnEdge();
  Notify();
}

void Channel::Notify() {
  if (user_ != nullptr) user_->OnChannel();
}

io::Transfer Channel::ReadSocket(base::MutableByteSpan room) {
  if (broken_) return {io::Progress::kReset};
  if (!readable_ || connecting_) return {io::Progress::kWouldBlock};
  const io::Transfer got = io::Read(fd_.get(), room);
  switch (got.progress) {
    case io::Progress::kBytes:
      if (got.count < room.size() && !drain_fully_) readable_ = false;
      break;
    case io::Progress::kWouldBlock:
      readable_ = false;
      break;
    case io::Progress::kEnd:
      break;
    case io::Progress::kReset:
      Break(base::ErrnoStatus(got.error, "read"));
      break;
  }
  return got;
}

void Channel::Break(base::Status why) {
  if (std::exchange(broken_, true)) return;
  error_ = std::move(why);
}

void Channel::Shutdown() { io::FinishWriting(fd_.get()); }

void Channel::Reset() {
  if (closed()) return;
  workshop_->loop().Forget(this);
  io::ResetAndClose(std::move(fd_));
}

void Channel::Close() {
  if (closed()) return;
  workshop_->loop().Forget(this);
  fd_.Reset();
}

base::Fd Channel::Release() {
  if (!closed()) workshop_->loop().Remove(fd_.get(), this);
  return std::move(fd_);
}

io::Transfer TcpChannel::Read(base::MutableByteSpan room) {
  return ReadSocket(room);
}

void TcpChannel::Flush() {
  if (connecting() || broken()) return outbox_.Hold();
  if (outbox_.size() > 0) {
    if (!writable_) return outbox_.Hold();
    const io::Transfer sent = outbox_.Flush(fd());
    if (sent.progress == io::Progress::kReset) {
      return Break(base::ErrnoStatus(sent.error, "write"));
    }
    if (sent.progress == io::Progress::kWouldBlock) writable_ = false;
  }
  if (finishing_ && outbox_.size() == 0 && !std::exchange(shut_, true)) {
    Shutdown();
  }
}

}  // namespace nodeward::hbone
