// SPDX-License-Identifier: Apache-2.0
#include "cni/told_sandboxes.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "cni/folder.h"

namespace nodeward::cni {
namespace {

using testing::ElementsAre;
using testing::Pair;

class Runtime final : public cri::SandboxSource {
 public:
  void Start(std::function<void(const cri::Sandboxes&)> changed) override {
    tell = std::move(changed);
  }
  void Expect(std::set<std::string> pods) override { expected = pods; }
  std::string problem() const override { return "away"; }

  std::function<void(const cri::Sandboxes&)> tell;
  std::set<std::string> expected;
};

class ToldSandboxesTest : public testing::Test {
 protected:
  ToldSandboxesTest() {
    auto runtime = std::make_unique<Runtime>();
    runtime_ = runtime.get();
    sandboxes_ = std::make_unique<ToldSandboxes>(std::move(runtime));
  }
  void Start() {
    sandboxes_->Start([this](const cri::Sandboxes& all) {
      all_ = all;
      ++times_;
    });
  }

  const Folder folder_;
  Runtime* runtime_;
  std::unique_ptr<ToldSandboxes> sandboxes_;
  cri::Sandboxes all_;
  int times_ = 0;
};

TEST_F(ToldSandboxesTest, WhatWasToldCountsBeforeWhatIsListed) {
  Start();
  folder_.Write("a", "");
  const cri::Sandbox told{folder_ / "a", {*base::IpAddress::Parse("10.0.0.7")}};
  sandboxes_->Tell("u1", told);
  EXPECT_THAT(all_, ElementsAre(Pair("u1", told)));
  const cri::Sandbox other{"/listed/2", {}};
  runtime_->tell({{"u1", {"/listed/1", {}}}, {"u2", other}});
  EXPECT_THAT(all_, ElementsAre(Pair("u1", told), Pair("u2", other)));
  sandboxes_->Tell("u1", told);
  EXPECT_EQ(times_, 2);
}

TEST_F(ToldSandboxesTest, ForAsLongAsItIsThere) {
  Start();
  folder_.Write("a", "");
  folder_.Write("b", "");
  sandboxes_->Tell("u1", {folder_ / "a", {}});
  sandboxes_->Tell("u1", {folder_ / "b", {}});
  EXPECT_EQ(all_["u1"].netns, folder_ / "b");
  unlink((folder_ / "b").c_str());
  runtime_->tell({{"u1", {"/listed/1", {}}}});
  EXPECT_EQ(all_["u1"].netns, "/listed/1");
}

TEST_F(ToldSandboxesTest, BeforeTheStartToo) {
  folder_.Write("a", "");
  sandboxes_->Tell("u1", {folder_ / "a", {}});
  Start();
  EXPECT_EQ(times_, 0);
  runtime_->tell({});
  EXPECT_EQ(all_["u1"].netns, folder_ / "a");
}

TEST_F(ToldSandboxesTest, TheRestIsTheRuntimes) {
  sandboxes_->Expect({"u1"});
  EXPECT_THAT(runtime_->expected, ElementsAre("u1"));
  EXPECT_EQ(sandboxes_->problem(), "away");
}

}  // namespace
}  // namespace nodeward::cni
