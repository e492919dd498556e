// SPDX-License-Identifier: Apache-2.0
#include "observe/tap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "observe/flow_fixture.h"

namespace nodeward::observe {
namespace {

using ::testing::ElementsAre;
using Kind = TapSubject::Kind;

constexpr absl::Duration kNow = absl::Seconds(100);

class TapTest : public ::testing::Test {
 protected:
  TapTest() {
    auto named = *web_;
    named.name = "web-7d4f9-abcde";
    web_ = std::make_shared<const model::Workload>(named);
    auto service = std::make_shared<model::Service>();
    service->name = "voting";
    service->name_space = "emojivoto";
    out_ = MakeFlow(1, Reporter::kSource, web_, voting_);
    out_.service = service;
    in_ = MakeFlow(2, Reporter::kDestination, web_, voting_);
    in_.service = service;
  }
  static TapQuestion Of(Kind kind, std::string name,
                        std::string name_space = "emojivoto") {
    TapQuestion question;
    question.of = {kind, std::move(name_space), std::move(name)};
    return question;
  }
  static TapEvent Event(uint64_t stream) {
    TapEvent event;
    event.id.stream = stream;
    return event;
  }

  std::shared_ptr<const model::Workload> web_ =
      MakeWorkload("emojivoto", "web");
  std::shared_ptr<const model::Workload> voting_ =
      MakeWorkload("emojivoto", "voting");
  Flow out_;
  Flow in_;
};

TEST_F(TapTest, ASubjectIsTheClientGoingOutAndTheServerComingIn) {
  EXPECT_TRUE(Tap(Of(Kind::kWorkload, "web")).Wants(out_));
  EXPECT_FALSE(Tap(Of(Kind::kWorkload, "web")).Wants(in_));
  EXPECT_TRUE(Tap(Of(Kind::kWorkload, "voting")).Wants(in_));
  EXPECT_FALSE(Tap(Of(Kind::kWorkload, "voting")).Wants(out_));
  EXPECT_FALSE(Tap(Of(Kind::kWorkload, "web", "other")).Wants(out_));
  EXPECT_TRUE(Tap(Of(Kind::kPod, "web-7d4f9-abcde")).Wants(out_));
  EXPECT_FALSE(Tap(Of(Kind::kPod, "web")).Wants(out_));
  EXPECT_TRUE(Tap(Of(Kind::kEither, "web")).Wants(out_));
  EXPECT_TRUE(Tap(Of(Kind::kEither, "web-7d4f9-abcde")).Wants(out_));
  EXPECT_TRUE(Tap(Of(Kind::kAll, "", "")).Wants(in_));
  EXPECT_TRUE(Tap(Of(Kind::kService, "voting")).Wants(in_));
  EXPECT_FALSE(Tap(Of(Kind::kService, "voting")).Wants(out_));
}

TEST_F(TapTest, ToIsWhatIsSentThere) {
  TapQuestion question = Of(Kind::kWorkload, "web");
  question.to = {Kind::kService, "emojivoto", "voting"};
  EXPECT_TRUE(Tap(question).Wants(out_));
  question.to = {Kind::kWorkload, "", "voting"};
  EXPECT_TRUE(Tap(question).Wants(out_));
  question.to = {Kind::kWorkload, "", "emoji"};
  EXPECT_FALSE(Tap(question).Wants(out_));
  question = Of(Kind::kWorkload, "voting");
  question.to = {Kind::kAll, "", ""};
  EXPECT_FALSE(Tap(question).Wants(in_));
}

TEST_F(TapTest, AnEndThatNobodyKnowsIsNotSelected) {
  in_.destination_workload = nullptr;
  EXPECT_FALSE(Tap(Of(Kind::kAll, "", "")).Wants(in_));
}

TEST_F(TapTest, RequestsByMethodAuthorityAndBeginningOfThePath) {
  TapQuestion question;
  EXPECT_FALSE(question.WantsHttpOnly());
  EXPECT_TRUE(Tap(question).WantsRequest("GET", "h", "/a"));
  question.method = "GET";
  question.authority = "h";
  question.path = "/a";
  EXPECT_TRUE(question.WantsHttpOnly());
  const Tap tap(question);
  EXPECT_TRUE(tap.WantsRequest("GET", "h", "/a/b?c"));
  EXPECT_FALSE(tap.WantsRequest("POST", "h", "/a/b?c"));
  EXPECT_FALSE(tap.WantsRequest("GET", "h:80", "/a/b?c"));
  EXPECT_FALSE(tap.WantsRequest("GET", "h", "/b/a"));
}

TEST_F(TapTest, NumbersByPodAndInIt) {
  Tap tap(TapQuestion{});
  const auto id = [&](const std::string& pod) {
    const auto given = tap.Admit(pod, kNow);
    return given ? std::make_pair(given->base, given->stream)
                 : std::make_pair(~0u, uint64_t{0});
  };
  EXPECT_EQ(id("a"), std::make_pair(0u, uint64_t{0}));
  EXPECT_EQ(id("b"), std::make_pair(1u, uint64_t{0}));
  EXPECT_EQ(id("a"), std::make_pair(0u, uint64_t{1}));
}

TEST_F(TapTest, SoManyASecondAndTheRestCounted) {
  TapQuestion question;
  question.max_rps = 3;
  Tap tap(question);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(tap.Admit("a", kNow).has_value());
  EXPECT_FALSE(tap.Admit("a", kNow).has_value());
  EXPECT_FALSE(tap.Admit("b", kNow + absl::Milliseconds(100)).has_value());
  EXPECT_TRUE(tap.Admit("a", kNow + absl::Milliseconds(500)).has_value());
  // What was not used is not saved up, and time does not go back.
  const absl::Duration later = kNow + absl::Hours(1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(tap.Admit("a", later).has_value());
  EXPECT_FALSE(tap.Admit("a", later).has_value());
  EXPECT_FALSE(tap.Admit("a", kNow).has_value());
  EXPECT_EQ(tap.missed().over_limit, 4u);
  EXPECT_EQ(tap.missed().lost, 0u);
}

TEST_F(TapTest, AFullQueueLosesAndCounts) {
  Tap tap(TapQuestion{});
  for (size_t i = 0; i < Tap::kMaxQueued + 5; ++i) tap.Push(Event(i));
  EXPECT_EQ(tap.missed().lost, 5u);
  const auto first = tap.Take(2);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[1].id.stream, 1u);
  EXPECT_EQ(tap.Take(Tap::kMaxQueued).size(), Tap::kMaxQueued - 2);
  EXPECT_TRUE(tap.Take(1).empty());
  tap.Push(Event(7));
  EXPECT_EQ(tap.Take(9).size(), 1u);
}

TEST_F(TapTest, LongTextsAreCutOff) {
  Tap tap(TapQuestion{});
  TapEvent event;
  event.path = std::string(60000, 'p');
  tap.Push(event);
  EXPECT_EQ(tap.Take(1).at(0).path.size(), Tap::kMaxText);
}

TEST_F(TapTest, SoAreManyLongOnes) {
  Tap tap(TapQuestion{});
  TapEvent event;
  event.path = std::string(Tap::kMaxText, 'p');
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < Tap::kMaxQueuedText / Tap::kMaxText + 3; ++i) {
      tap.Push(event);
    }
    EXPECT_EQ(tap.Take(Tap::kMaxQueued).size(),
              Tap::kMaxQueuedText / Tap::kMaxText);
  }
  EXPECT_EQ(tap.missed().lost, 6u);
}

TEST_F(TapTest, WhatIsPushedAfterTheEndIsForgotten) {
  Tap tap(TapQuestion{});
  tap.Push(Event(1));
  tap.Stop();
  tap.Push(Event(2));
  EXPECT_EQ(tap.Take(9).size(), 1u);
  EXPECT_EQ(tap.missed().lost, 0u);
  EXPECT_FALSE(tap.Wants(out_));
}

TEST_F(TapTest, TapsThatRun) {
  Taps taps;
  EXPECT_FALSE(taps.any());
  const auto web = *taps.Start(Of(Kind::kWorkload, "web"));
  const auto all = *taps.Start(Of(Kind::kAll, ""));
  EXPECT_TRUE(taps.any());
  EXPECT_THAT(taps.Watching(out_), ElementsAre(web, all));
  EXPECT_THAT(taps.Watching(in_), ElementsAre(all));
  taps.Stop(web);
  EXPECT_TRUE(web->stopped());
  EXPECT_THAT(taps.Watching(out_), ElementsAre(all));
  taps.Stop(web);
  taps.Stop(all);
  EXPECT_FALSE(taps.any());
}

TEST_F(TapTest, NoMoreThanSomeAtOnce) {
  Taps taps;
  std::shared_ptr<Tap> last;
  for (size_t i = 0; i < Taps::kMaxTaps; ++i) {
    last = *taps.Start(Of(Kind::kAll, ""));
  }
  EXPECT_EQ(taps.Start(Of(Kind::kAll, "")).status().code(),
            absl::StatusCode::kResourceExhausted);
  taps.Stop(last);
  EXPECT_TRUE(taps.Start(Of(Kind::kAll, "")).ok());
}

TEST_F(TapTest, ManyWorkersAndAReader) {
  TapQuestion question;
  question.max_rps = 1'000'000;
  Tap tap(question);
  std::vector<std::thread> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&tap] {
      for (uint64_t i = 0; i < 5000; ++i) {
        TapEvent event;
        event.id = tap.Admit("pod", kNow).value_or(TapId{});
        tap.Push(std::move(event));
      }
    });
  }
  size_t taken = 0;
  for (int i = 0; i < 1000; ++i) taken += tap.Take(64).size();
  for (std::thread& worker : workers) worker.join();
  taken += tap.Take(Tap::kMaxQueued).size();
  EXPECT_EQ(taken + tap.missed().lost, 20000u);
}

}  // namespace
}  // namespace nodeward::observe
