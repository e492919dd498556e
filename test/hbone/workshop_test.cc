// SPDX-License-Identifier: Apache-2.0
#include "hbone/workshop.h"

#include <gtest/gtest.h>

#include <functional>

namespace nodeward::hbone {
namespace {

class Task final : public Turn {
 public:
  explicit Task(std::function<void()> work) : work_(std::move(work)) {}
  void OnTurn() override { work_(); }

 private:
  std::function<void()> work_;
};

class Noted final : public Retirable {
 public:
  explicit Noted(bool* gone) : gone_(gone) {}
  ~Noted() override { *gone_ = true; }

 private:
  bool* gone_;
};

class WorkshopTest : public ::testing::Test {
 protected:
  WorkshopTest() : loop_(*io::Loop::Create()), workshop_(loop_.get()) {}
  // One round that does `work`, and all that follows from it.
  void Round(std::function<void()> work) {
    loop_->Post(std::move(work));
    loop_->Post([this] { loop_->Post([this] { loop_->Stop(); }); });
    loop_->Run();
  }
  std::unique_ptr<io::Loop> loop_;
  Workshop workshop_;
};

TEST_F(WorkshopTest, ATurnComesOnceAtTheRoundsEnd) {
  int turns = 0;
  Task task([&] { ++turns; });
  Round([&] {
    workshop_.AtRoundEnd(&task);
    workshop_.AtRoundEnd(&task);
    EXPECT_TRUE(task.queued());
    EXPECT_EQ(turns, 0);
  });
  EXPECT_EQ(turns, 1);
  EXPECT_FALSE(task.queued());
}

TEST_F(WorkshopTest, ATurnMayAskForAnother) {
  int turns = 0;
  Task task([&] {
    if (++turns < 3) workshop_.NextRound(&task);
  });
  loop_->Post([&] { workshop_.NextRound(&task); });
  io::Timer end(*loop_, [&] {
    if (turns == 3) return loop_->Stop();
    end.Set(absl::Milliseconds(1));
  });
  end.Set(absl::Milliseconds(1));
  loop_->Run();
  EXPECT_EQ(turns, 3);
}

TEST_F(WorkshopTest, ADestroyedTurnIsForgotten) {
  int turns = 0;
  auto doomed = std::make_unique<Task>([&] { ++turns; });
  Task killer([&] { doomed.reset(); });
  Round([&] {
    workshop_.AtRoundEnd(&killer);
    workshop_.AtRoundEnd(doomed.get());
  });
  EXPECT_EQ(turns, 0);
}

TEST_F(WorkshopTest, WhatRetiresLivesUntilTheRoundsEnd) {
  bool gone = false;
  Round([&] {
    workshop_.Retire(std::make_unique<Noted>(&gone));
    EXPECT_FALSE(gone);
  });
  EXPECT_TRUE(gone);
}

}  // namespace
}  // namespace nodeward::hbone
