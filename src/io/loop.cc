// SPDX-License-Identifier: Apache-2.0
#include "io/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace nodeward::io {
namespace {

constexpr int kBatch = 128;

absl::Duration Monotonic() {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return absl::DurationFromTimespec(ts);
}

}  // namespace

base::StatusOr<std::unique_ptr<Loop>> Loop::Create() {
  base::Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return base::ErrnoStatus(errno, "create epoll");
  base::Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return base::ErrnoStatus(errno, "create eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // null: the mailbox
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return base::ErrnoStatus(errno, "watch eventfd");
  }
  return std::unique_ptr<Loop>(new Loop(std::move(epoll), std::move(wake)));
}

Loop::Loop(base::Fd epoll, base::Fd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)), now_(Monotonic()) {}

Loop::~Loop() = default;

base::Status Loop::Add(int fd, uint32_t events, Watcher* watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = watcher;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return base::ErrnoStatus(errno, "watch descriptor");
  }
  return base::OkStatus();
}

base::Status Loop::Modify(int fd, uint32_t events, Watcher* watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = watcher;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
    return base::ErrnoStatus(errno, "change watch of descriptor");
  }
  return base::OkStatus();
}

void Loop::Remove(int fd, Watcher* watcher) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  Forget(watcher);
}

void Loop::Forget(Watcher* watcher) {
  for (Ready& ready : ready_) {
    if (ready.watcher == watcher) ready.watcher = nullptr;
  }
}

bool Loop::InLoopThread() const {
  return thread_ == std::this_thread::get_id();
}

void Loop::Run() {
  thread_ = std::this_thread::get_id();
  epoll_event events[kBatch];
  for (;;) {
    const int count =
        epoll_wait(epoll_.get(), events, kBatch, NextTimeoutMillis());
    now_ = Monotonic();
    bool mail = false;
    ready_.clear();
    for (int i = 0; i < count; ++i) {
      if (events[i].data.ptr == nullptr) {
        mail = true;
      } else {
        ready_.push_back(
            {static_cast<Watcher*>(events[i].data.ptr), events[i].events});
      }
    }
    // By index: a callback may blank later entries through Remove.
    for (size_t i = 0; i < ready_.size(); ++i) {
      if (ready_[i].watcher != nullptr) {
        ready_[i].watcher->OnEvents(ready_[i].events);
      }
    }
    ready_.clear();
    RunTimers();
    if (mail) RunPosted();
    RunDeferred();
    base::MutexLock lock(&mutex_);
    if (stopping_) return;
  }
}

void Loop::Stop() {
  Post([this] {
    base::MutexLock lock(&mutex_);
    stopping_ = true;
  });
}

void Loop::Post(std::function<void()> work) {
  bool wake = false;
  {
    base::MutexLock lock(&mutex_);
    posted_.push_back(std::move(work));
    wake = !std::exchange(woken_, true);
  }
  if (wake) {
    const uint64_t one = 1;
    // An eventfd of ours below its maximum: the write cannot fail.
    [[maybe_unused]] const ssize_t n = write(wake_.get(), &one, sizeof(one));
  }
}

void Loop::Defer(std::function<void()> work) {
  deferred_.push_back(std::move(work));
}

void Loop::RunPosted() {
  uint64_t count;
  [[maybe_unused]] const ssize_t n = read(wake_.get(), &count, sizeof(count));
  std::vector<std::function<void()>> work;
  {
    base::MutexLock lock(&mutex_);
    work.swap(posted_);
    woken_ = false;
  }
  for (auto& each : work) each();
}

void Loop::RunDeferred() {
  while (!deferred_.empty()) {
    std::vector<std::function<void()>> work;
    work.swap(deferred_);
    for (auto& each : work) each();
  }
}

int Loop::NextTimeoutMillis() const {
  if (!deferred_.empty()) return 0;
  if (timers_.empty()) return -1;
  const absl::Duration left = timers_.front()->deadline_ - Monotonic();
  if (left <= absl::ZeroDuration()) return 0;
  // Rounded up: waking early would spin until the deadline.
  const int64_t millis = absl::ToInt64Milliseconds(left) + 1;
  return static_cast<int>(std::min<int64_t>(millis, 60'000));
}

void Loop::RunTimers() {
  // Only what is due now: a callback that sets itself to zero must not starve
  // the sockets.
  const absl::Duration due = now_;
  while (!timers_.empty() && timers_.front()->deadline_ <= due) {
    Timer* timer = timers_.front();
    TimerDrop(timer);
    timer->callback_();
  }
}

void Loop::Place(size_t index, Timer* timer) {
  timers_[index] = timer;
  timer->index_ = index;
}

void Loop::SiftUp(size_t index) {
  Timer* timer = timers_[index];
  while (index > 0) {
    const size_t parent = (index - 1) / 2;
    if (timers_[parent]->deadline_ <= timer->deadline_) break;
    Place(index, timers_[parent]);
    index = parent;
  }
  Place(index, timer);
}

void Loop::SiftDown(size_t index) {
  Timer* timer = timers_[index];
  for (;;) {
    size_t child = 2 * index + 1;
    if (child >= timers_.size()) break;
    if (child + 1 < timers_.size() &&
        timers_[child + 1]->deadline_ < timers_[child]->deadline_) {
      ++child;
    }
    if (timer->deadline_ <= timers_[child]->deadline_) break;
    Place(index, timers_[child]);
    index = child;
  }
  Place(index, timer);
}

void Loop::TimerSet(Timer* timer) {
  if (timer->index_ == Timer::kIdle) {
    timers_.push_back(timer);
    timer->index_ = timers_.size() - 1;
  }
  SiftUp(timer->index_);
  SiftDown(timer->index_);
}

void Loop::TimerDrop(Timer* timer) {
  const size_t index = timer->index_;
  timer->index_ = Timer::kIdle;
  Timer* last = timers_.back();
  timers_.pop_back();
  if (last == timer) return;
  Place(index, last);
  SiftUp(index);
  SiftDown(last->index_);
}

Timer::Timer(Loop& loop, std::function<void()> callback)
    : loop_(loop), callback_(std::move(callback)) {}

Timer::~Timer() { Cancel(); }

void Timer::Set(absl::Duration delay) {
  deadline_ = Monotonic() + delay;
  loop_.TimerSet(this);
}

void Timer::Cancel() {
  if (index_ != kIdle) loop_.TimerDrop(this);
}

}  // namespace nodeward::io
