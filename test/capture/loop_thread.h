// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "io/loop.h"

namespace nodeward::capture {

// A loop on a thread of its own, in the namespace of the thread that makes it.
class LoopThread {
 public:
  LoopThread() : loop_(io::Loop::Create().value()) {
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~LoopThread() {
    loop_->Stop();
    thread_.join();
  }

  io::Loop& loop() { return *loop_; }
  // Runs `work` on the loop and waits for it.
  void Do(const std::function<void()>& work) {
    std::promise<void> done;
    loop_->Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  std::unique_ptr<io::Loop> loop_;
  std::thread thread_;
};

}  // namespace nodeward::capture
