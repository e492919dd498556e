// SPDX-License-Identifier: Apache-2.0
//
// io: the event loop and the sockets on it. The only epoll of the project.
// Everything here belongs to the thread that runs its Loop, except what says
// otherwise (Post, Stop). Moves bytes, knows no protocol.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/fd.h"
#include "base/mutex.h"
#include "base/status.h"

namespace nodeward::io {

class Timer;

// Told of what happened to a descriptor. `events` are EPOLL* bits.
class Watcher {
 public:
  virtual void OnEvents(uint32_t events) = 0;

 protected:
  ~Watcher() = default;
};

// One epoll instance, its timers and its mailbox. One thread runs it.
class Loop {
 public:
  static base::StatusOr<std::unique_ptr<Loop>> Create();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Watches `fd` for `events` (add EPOLLET yourself). `watcher` must stay alive
  // until Remove. The caller keeps the descriptor.
  base::Status Add(int fd, uint32_t events, Watcher* watcher);
  base::Status Modify(int fd, uint32_t events, Watcher* watcher);
  // After this `watcher` hears no more, not even of events already fetched.
  // Call it before closing the descriptor.
  void Remove(int fd, Watcher* watcher);
  // The same for a descriptor that the caller closes before it returns to the
  // loop, without a system call: closing takes it out.
  void Forget(Watcher* watcher);

  // Runs until Stop. Call once.
  void Run();
  // Thread-safe; Run returns after the current round.
  void Stop();

  // Thread-safe: `work` runs on the loop's thread, in order of posting. What is
  // posted after Run returned is destroyed with the loop, unrun.
  void Post(std::function<void()> work);
  // From the loop's thread: `work` runs at the end of the current round, when
  // no callback is on the stack (the place to delete what is calling you).
  void Defer(std::function<void()> work);

  // Monotonic time of the current round; cheap.
  absl::Duration now() const { return now_; }
  bool InLoopThread() const;

 private:
  friend class Timer;
  Loop(base::Fd epoll, base::Fd wake);
  void RunPosted();
  void RunDeferred();
  void RunTimers();
  int NextTimeoutMillis() const;
  void TimerSet(Timer* timer);
  void TimerDrop(Timer* timer);
  void SiftUp(size_t index);
  void SiftDown(size_t index);
  void Place(size_t index, Timer* timer);

  base::Fd epoll_;
  base::Fd wake_;
  absl::Duration now_;
  std::thread::id thread_;
  // The events of the current round, so that Remove can blank them.
  struct Ready {
    Watcher* watcher;
    uint32_t events;
  };
  std::vector<Ready> ready_;
  std::vector<Timer*> timers_;  // binary heap by deadline
  std::vector<std::function<void()>> deferred_;

  base::Mutex mutex_;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

// Calls back once after a while. Set again to move it. Destroying it cancels.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> callback);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void Set(absl::Duration delay);
  void Cancel();
  bool pending() const { return index_ != kIdle; }

 private:
  friend class Loop;
  static constexpr size_t kIdle = ~size_t{0};
  Loop& loop_;
  std::function<void()> callback_;
  absl::Duration deadline_;
  size_t index_ = kIdle;
};

}  // namespace nodeward::io
