// SPDX-License-Identifier: Apache-2.0
#include "io/loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace nodeward::io {
namespace {

class LoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = Loop::Create();
    ASSERT_TRUE(made.ok()) << made.status();
    loop_ = *std::move(made);
  }
  // Fails the test instead of hanging it.
  void RunWithin(absl::Duration limit) {
    Timer watchdog(*loop_, [&] {
      ADD_FAILURE() << "the loop was not stopped in time";
      loop_->Stop();
    });
    watchdog.Set(limit);
    loop_->Run();
  }
  std::unique_ptr<Loop> loop_;
};

class Recorder final : public Watcher {
 public:
  explicit Recorder(std::function<void(uint32_t)> callback)
      : callback_(std::move(callback)) {}
  void OnEvents(uint32_t events) override { callback_(events); }

 private:
  std::function<void(uint32_t)> callback_;
};

TEST_F(LoopTest, PostedWorkRunsInOrderOnTheLoopsThread) {
  std::vector<int> order;
  std::thread poster([&] {
    for (int i = 0; i < 100; ++i) {
      loop_->Post([&, i] {
        EXPECT_TRUE(loop_->InLoopThread());
        order.push_back(i);
      });
    }
    loop_->Stop();
  });
  RunWithin(absl::Seconds(20));
  poster.join();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST_F(LoopTest, TimersFireByDeadlineNotByOrderOfSetting) {
  std::vector<int> order;
  Timer late(*loop_, [&] {
    order.push_back(2);
    loop_->Stop();
  });
  Timer early(*loop_, [&] { order.push_back(1); });
  Timer cancelled(*loop_, [&] { order.push_back(99); });
  late.Set(absl::Milliseconds(40));
  cancelled.Set(absl::Milliseconds(20));
  early.Set(absl::Milliseconds(10));
  cancelled.Cancel();
  EXPECT_FALSE(cancelled.pending());
  EXPECT_TRUE(late.pending());
  RunWithin(absl::Seconds(20));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST_F(LoopTest, ATimerSetAgainMoves) {
  int fired = 0;
  Timer end(*loop_, [&] { loop_->Stop(); });
  Timer moved(*loop_, [&] { ++fired; });
  moved.Set(absl::Milliseconds(5));
  moved.Set(absl::Hours(1));
  end.Set(absl::Milliseconds(50));
  RunWithin(absl::Seconds(20));
  EXPECT_EQ(fired, 0);
}

TEST_F(LoopTest, ManyTimersKeepTheirOrder) {
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<int> fired;
  for (int i = 0; i < 200; ++i) {
    const int slot = (i * 73) % 200;
    timers.push_back(std::make_unique<Timer>(
        *loop_, [&fired, slot] { fired.push_back(slot); }));
    timers.back()->Set(absl::Microseconds(100 * slot));
  }
  // Every third is taken out of the middle of the heap.
  for (size_t i = 0; i < timers.size(); i += 3) timers[i].reset();
  Timer end(*loop_, [&] { loop_->Stop(); });
  end.Set(absl::Milliseconds(60));
  RunWithin(absl::Seconds(20));
  EXPECT_EQ(fired.size(), 200u - 67u);
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
}

TEST_F(LoopTest, RemoveSilencesEventsAlreadyFetched) {
  int a[2], b[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
  ASSERT_EQ(write(a[1], "x", 1), 1);
  ASSERT_EQ(write(b[1], "x", 1), 1);
  int heard = 0;
  Recorder* first_pointer = nullptr;
  Recorder* second_pointer = nullptr;
  // Both are ready in one round; whoever runs first removes the other.
  Recorder first([&](uint32_t) {
    ++heard;
    loop_->Remove(b[0], second_pointer);
    loop_->Stop();
  });
  Recorder second([&](uint32_t) {
    ++heard;
    loop_->Remove(a[0], first_pointer);
    loop_->Stop();
  });
  first_pointer = &first;
  second_pointer = &second;
  ASSERT_TRUE(loop_->Add(a[0], EPOLLIN | EPOLLET, &first).ok());
  ASSERT_TRUE(loop_->Add(b[0], EPOLLIN | EPOLLET, &second).ok());
  RunWithin(absl::Seconds(20));
  EXPECT_EQ(heard, 1);
  for (const int fd : {a[0], a[1], b[0], b[1]}) close(fd);
}

TEST_F(LoopTest, WhoForgetsAndClosesHearsNoMore) {
  int a[2], b[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
  ASSERT_EQ(write(a[1], "x", 1), 1);
  ASSERT_EQ(write(b[1], "x", 1), 1);
  int gone_heard = 0;
  Recorder gone([&](uint32_t) { ++gone_heard; });
  ASSERT_TRUE(loop_->Add(a[0], EPOLLIN, &gone).ok());
  loop_->Forget(&gone);
  close(a[0]);
  Recorder last([&](uint32_t) { loop_->Stop(); });
  ASSERT_TRUE(loop_->Add(b[0], EPOLLIN, &last).ok());
  RunWithin(absl::Seconds(20));
  EXPECT_EQ(gone_heard, 0);
  for (const int fd : {a[1], b[0], b[1]}) close(fd);
}

TEST_F(LoopTest, DeferredWorkRunsAfterTheCallbacksOfTheRound) {
  std::vector<std::string> order;
  loop_->Post([&] {
    loop_->Defer([&] {
      order.push_back("deferred");
      loop_->Defer([&] {
        order.push_back("deferred again");
        loop_->Stop();
      });
    });
    order.push_back("posted");
  });
  loop_->Post([&] { order.push_back("posted too"); });
  RunWithin(absl::Seconds(20));
  EXPECT_EQ(order, (std::vector<std::string>{"posted", "posted too", "deferred",
                                             "deferred again"}));
}

TEST_F(LoopTest, WatchingABadDescriptorIsAnError) {
  Recorder nobody([](uint32_t) {});
  EXPECT_FALSE(loop_->Add(-1, EPOLLIN, &nobody).ok());
}

}  // namespace
}  // namespace nodeward::io
