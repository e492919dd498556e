// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "io/loop.h"

namespace nodeward::discovery {

// A loop on a thread of its own.
class LoopThread {
 public:
  LoopThread() : loop_(*io::Loop::Create()) {
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~LoopThread() {
    loop_->Stop();
    thread_.join();
  }
  io::Loop& loop() { return *loop_; }

  // Runs `work` on the loop and waits for its end.
  template <typename Work>
  auto Do(Work work) -> decltype(work()) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto result = task.get_future();
    loop_->Post([&task] { task(); });
    return result.get();
  }

 private:
  std::unique_ptr<io::Loop> loop_;
  std::thread thread_;
};

// A value that one thread writes and another awaits.
template <typename T>
class Awaited {
 public:
  void Change(const std::function<void(T&)>& change) {
    const std::lock_guard lock(mutex_);
    change(value_);
    changed_.notify_all();
  }
  // Whether it came to be so within a generous time.
  bool Await(const std::function<bool(const T&)>& so) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return so(value_); });
  }
  T Get() {
    const std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  T value_;
};

}  // namespace nodeward::discovery
