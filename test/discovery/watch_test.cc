// SPDX-License-Identifier: Apache-2.0
#include "discovery/watch.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>

#include "base/fd.h"
#include "base/text.h"
#include "discovery/folder_fixture.h"
#include "discovery/watch_fixture.h"

namespace nodeward::discovery {
namespace {

using ::testing::HasSubstr;

// What a reader of the changes knows of the files.
struct State {
  std::map<std::string, std::string> files;  // "!…" where it is unreadable
  std::string problems;
  int calls = 0;
};

class WatchTest : public ::testing::Test {
 protected:
  void Start() {
    const base::Status status = thread_.Do([this]() -> base::Status {
      auto watch = Watch::Create(thread_.loop(), folder_.path());
      if (!watch.ok()) return watch.status();
      watch_ = *std::move(watch);
      return watch_->Start([this](std::vector<FileChange> changes) {
        state_.Change([&](State& state) { Take(std::move(changes), &state); });
      });
    });
    ASSERT_TRUE(status.ok()) << status;
  }

  void Take(std::vector<FileChange> changes, State* state) {
    ++state->calls;
    for (FileChange& change : changes) {
      switch (change.kind) {
        case FileChange::Kind::kText:
          state->files[change.file] = change.text;
          break;
        case FileChange::Kind::kGone:
          state->files.erase(change.file);
          break;
        case FileChange::Kind::kUnreadable:
          state->files[change.file] = "!" + std::string(change.error.message());
          break;
      }
      history_ += change.file + "=" + state->files[change.file] + ";";
      if (change.kind == FileChange::Kind::kGone) {
        state->files.erase(change.file);
      }
    }
    state->problems.clear();
    for (const auto& problem : watch_->problems()) {
      state->problems += problem.ToString() + "\n";
    }
  }

  void ExpectFiles(const std::map<std::string, std::string>& files) {
    EXPECT_TRUE(state_.Await([&](const State& state) {
      return state.files == files;
    })) << testing::PrintToString(state_.Get().files);
  }

  // Everything that happened so far has been applied: a marker file that comes
  // after it has.
  void Settle() {
    const std::string marker = "zz-" + std::to_string(++markers_) + ".yaml";
    folder_.Write(marker, "marker");
    EXPECT_TRUE(state_.Await(
        [&](const State& state) { return state.files.contains(marker); }));
    folder_.Remove(marker);
    EXPECT_TRUE(state_.Await(
        [&](const State& state) { return !state.files.contains(marker); }));
  }

  ~WatchTest() override {
    thread_.Do([this] { watch_.reset(); });
  }

  TemporaryFolder folder_;
  std::string history_;
  Awaited<State> state_;
  LoopThread thread_;
  std::unique_ptr<Watch> watch_;
  int markers_ = 0;
};

TEST_F(WatchTest, TellsAllFilesAtTheStart) {
  folder_.Write("a.yaml", "1");
  folder_.MakeFolder("sub");
  folder_.Write("sub/b.json", "2");
  Start();
  EXPECT_EQ(state_.Get().files, (std::map<std::string, std::string>{
                                    {"a.yaml", "1"}, {"sub/b.json", "2"}}));
  EXPECT_EQ(state_.Get().calls, 1);
}

TEST_F(WatchTest, FollowsWritingRenamingAndUnlinking) {
  Start();
  EXPECT_EQ(state_.Get().calls, 1);
  folder_.Write("a.yaml", "1");
  ExpectFiles({{"a.yaml", "1"}});
  folder_.Write("a.yaml", "2");
  ExpectFiles({{"a.yaml", "2"}});
  folder_.Rename("a.yaml", "b.yaml");
  ExpectFiles({{"b.yaml", "2"}});
  folder_.Write("tmp", "3");
  folder_.Rename("tmp", "b.yaml");
  ExpectFiles({{"b.yaml", "3"}});
  folder_.Rename("b.yaml", "b.off");
  ExpectFiles({});
  folder_.Rename("b.off", "b.yaml");
  ExpectFiles({{"b.yaml", "3"}});
  folder_.Remove("b.yaml");
  ExpectFiles({});
}

TEST_F(WatchTest, AHalfWrittenFileIsLeftAsItWas) {
  folder_.Write("a.yaml", "old");
  Start();
  base::Fd fd(open(folder_.At("a.yaml").c_str(), O_WRONLY | O_TRUNC));
  Settle();
  EXPECT_EQ(state_.Get().files.at("a.yaml"), "old");
  ASSERT_EQ(write(fd.get(), "ne", 2), 2);
  Settle();
  // Not even when the whole directory is looked through.
  folder_.MakeFolder("sub");
  Settle();
  EXPECT_EQ(state_.Get().files.at("a.yaml"), "old");
  ASSERT_EQ(write(fd.get(), "w", 1), 1);
  fd.Reset();
  ExpectFiles({{"a.yaml", "new"}});
}

// vim: the old file is renamed away and a new one written in its place.
TEST_F(WatchTest, AnEditorsRenameAndRewriteIsNoRemoval) {
  folder_.Write("a.yaml", "old");
  Start();
  folder_.Rename("a.yaml", "a.yaml~");
  base::Fd fd(open(folder_.At("a.yaml").c_str(), O_WRONLY | O_CREAT, 0644));
  Settle();
  EXPECT_EQ(state_.Get().files.at("a.yaml"), "old");
  ASSERT_EQ(write(fd.get(), "new", 3), 3);
  folder_.Remove("a.yaml~");
  Settle();
  EXPECT_EQ(state_.Get().files.at("a.yaml"), "old");
  fd.Reset();
  ExpectFiles({{"a.yaml", "new"}});
  thread_.Do([this] {
    EXPECT_EQ(history_.find("a.yaml=;"), std::string::npos) << history_;
  });
}

TEST_F(WatchTest, FindsWhatAppearsTogetherWithItsFolder) {
  Start();
  folder_.MakeFolder("x");
  folder_.MakeFolder("x/y");
  folder_.Write("x/y/a.yaml", "1");
  ExpectFiles({{"x/y/a.yaml", "1"}});
  folder_.Write("x/y/a.yaml", "2");
  ExpectFiles({{"x/y/a.yaml", "2"}});
  folder_.Rename("x/y", "z");
  ExpectFiles({{"z/a.yaml", "2"}});
  folder_.Write("z/a.yaml", "3");
  ExpectFiles({{"z/a.yaml", "3"}});
  folder_.Remove("z");
  ExpectFiles({});
}

TEST_F(WatchTest, AFolderMovedAwayIsNotWatchedAnyMore) {
  TemporaryFolder elsewhere;
  folder_.MakeFolder("x");
  folder_.Write("x/a.yaml", "1");
  Start();
  ASSERT_EQ(rename(folder_.At("x").c_str(), elsewhere.At("x").c_str()), 0);
  ExpectFiles({});
  elsewhere.Write("x/b.yaml", "2");
  Settle();
  ExpectFiles({});
}

TEST_F(WatchTest, AConfigMapsSwapIsOneChange) {
  folder_.MakeFolder("..1");
  folder_.Write("..1/a.yaml", "1");
  folder_.Write("..1/b.yaml", "1");
  folder_.Link("..1", "..data");
  folder_.Link("..data/a.yaml", "a.yaml");
  folder_.Link("..data/b.yaml", "b.yaml");
  Start();
  ExpectFiles({{"a.yaml", "1"}, {"b.yaml", "1"}});
  folder_.MakeFolder("..2");
  folder_.Write("..2/a.yaml", "2");
  folder_.Write("..2/b.yaml", "2");
  folder_.Link("..2", "..data_tmp");
  folder_.Rename("..data_tmp", "..data");
  folder_.Remove("..1");
  ExpectFiles({{"a.yaml", "2"}, {"b.yaml", "2"}});
  // And once more, from the watches that the swap has left.
  folder_.MakeFolder("..3");
  folder_.Write("..3/a.yaml", "3");
  folder_.Link("..3", "..data_tmp");
  folder_.Rename("..data_tmp", "..data");
  ExpectFiles({{"a.yaml", "3"}});
}

TEST_F(WatchTest, FollowsTheTargetOfALink) {
  TemporaryFolder elsewhere;
  elsewhere.Write("real.yaml", "1");
  folder_.Link(elsewhere.At("real.yaml"), "a.yaml");
  folder_.Link(elsewhere.At("real.yaml"), "b.yaml");
  Start();
  ExpectFiles({{"a.yaml", "1"}, {"b.yaml", "1"}});
  elsewhere.Write("real.yaml", "2");
  ExpectFiles({{"a.yaml", "2"}, {"b.yaml", "2"}});
  elsewhere.Write("new.yaml", "3");
  elsewhere.Rename("new.yaml", "real.yaml");
  ExpectFiles({{"a.yaml", "3"}, {"b.yaml", "3"}});
  elsewhere.Write("real.yaml", "4");
  ExpectFiles({{"a.yaml", "4"}, {"b.yaml", "4"}});
  elsewhere.Remove("real.yaml");
  ExpectFiles({});
}

TEST_F(WatchTest, ALinkIsCompleteAsItAppears) {
  TemporaryFolder elsewhere;
  elsewhere.Write("real.yaml", "1");
  Start();
  ASSERT_EQ(
      link(elsewhere.At("real.yaml").c_str(), folder_.At("hard.yaml").c_str()),
      0);
  ExpectFiles({{"hard.yaml", "1"}});
  folder_.Link(elsewhere.At("real.yaml"), "soft.yaml");
  ExpectFiles({{"hard.yaml", "1"}, {"soft.yaml", "1"}});
  elsewhere.MakeFolder("more");
  elsewhere.Write("more/x.yaml", "2");
  folder_.Link(elsewhere.At("more"), "more");
  ExpectFiles({{"hard.yaml", "1"}, {"soft.yaml", "1"}, {"more/x.yaml", "2"}});
  elsewhere.Write("more/y.yaml", "3");
  ExpectFiles({{"hard.yaml", "1"},
               {"soft.yaml", "1"},
               {"more/x.yaml", "2"},
               {"more/y.yaml", "3"}});
}

TEST_F(WatchTest, WhatOthersMayWriteIsToldAsUnreadable) {
  folder_.Write("a.yaml", "1");
  Start();
  ASSERT_EQ(chmod(folder_.At("a.yaml").c_str(), 0666), 0);
  EXPECT_TRUE(state_.Await([](const State& state) {
    return state.files.at("a.yaml").find("lets others write") !=
           std::string::npos;
  }));
  ASSERT_EQ(chmod(folder_.At("a.yaml").c_str(), 0644), 0);
  ExpectFiles({{"a.yaml", "1"}});
  folder_.MakeFolder("sub");
  folder_.Write("sub/b.yaml", "2");
  ExpectFiles({{"a.yaml", "1"}, {"sub/b.yaml", "2"}});
  // What lies in a folder that may be read no more stays.
  ASSERT_EQ(chmod(folder_.At("sub").c_str(), 0777), 0);
  EXPECT_TRUE(state_.Await(
      [](const State& state) { return state.problems.find("sub: ") == 0; }));
  ExpectFiles({{"a.yaml", "1"}, {"sub/b.yaml", "2"}});
  ASSERT_EQ(chmod(folder_.At("sub").c_str(), 0755), 0);
  EXPECT_TRUE(
      state_.Await([](const State& state) { return state.problems.empty(); }));
}

TEST_F(WatchTest, WithoutItsDirectoryTheLastStateStays) {
  folder_.Write("a.yaml", "1");
  Start();
  const std::string away = folder_.path() + "-away";
  ASSERT_EQ(rename(folder_.path().c_str(), away.c_str()), 0);
  EXPECT_TRUE(state_.Await([](const State& state) {
    return state.problems.find("the last good state stays in force") !=
           std::string::npos;
  }));
  ExpectFiles({{"a.yaml", "1"}});
  // Another one in its place is what counts then.
  ASSERT_EQ(mkdir(folder_.path().c_str(), 0755), 0);
  folder_.Write("b.yaml", "2");
  ExpectFiles({{"b.yaml", "2"}});
  EXPECT_TRUE(
      state_.Await([](const State& state) { return state.problems.empty(); }));
  folder_.Write("b.yaml", "3");
  ExpectFiles({{"b.yaml", "3"}});
  std::filesystem::remove_all(away);
}

// More events than the kernel queues for a reader that does not read.
TEST_F(WatchTest, AnOverflowOfTheQueueLosesNothing) {
  for (const char* file : {"a.yaml", "gone.yaml", "x.yaml", "y.yaml"}) {
    folder_.Write(file, "1");
  }
  Start();
  int limit = 0;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> limit;
  ASSERT_GT(limit, 0);
  std::promise<void> hold;
  auto released = hold.get_future();
  thread_.loop().Post([&released] { released.wait(); });
  for (int i = 0; i < limit + 10; ++i) {
    // Of two files in turn, or the kernel folds the events into one.
    chmod(folder_.At(i % 2 ? "x.yaml" : "y.yaml").c_str(), 0600);
  }
  folder_.Write("a.yaml", "2");
  folder_.Remove("gone.yaml");
  folder_.Write("new.yaml", "1");
  hold.set_value();
  ExpectFiles(
      {{"a.yaml", "2"}, {"new.yaml", "1"}, {"x.yaml", "1"}, {"y.yaml", "1"}});
}

TEST_F(WatchTest, ManyFilesAtOnce) {
  Start();
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 300; ++i) {
    const std::string name = base::StrCat("f", i, ".yaml");
    folder_.Write(name, std::to_string(i));
    expected[name] = std::to_string(i);
  }
  ExpectFiles(expected);
}

TEST(WatchCreateTest, RefusesADirectoryThatOthersMayChange) {
  TemporaryFolder folder;
  auto loop = *io::Loop::Create();
  chmod(folder.path().c_str(), 0777);
  EXPECT_THAT(
      std::string(Watch::Create(*loop, folder.path()).status().message()),
      HasSubstr("chmod go-w " + folder.path()));
  EXPECT_THAT(
      std::string(Watch::Create(*loop, folder.At("none")).status().message()),
      HasSubstr("No such file"));
}

}  // namespace
}  // namespace nodeward::discovery
