// SPDX-License-Identifier: Apache-2.0
#include "ca/issuer_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <vector>

#include "pki/command.h"
#include "pki/forge.h"

namespace nodeward::ca {
namespace {

using pki::Spill;
using testing::HasSubstr;

class IssuerWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = *io::Loop::Create();
    std::filesystem::create_directory(folder_ / "issuer");
  }
  pki::Root Intermediate(absl::Duration left = absl::Hours(48)) {
    return *pki::MakeIntermediate(
        root_, "cluster.local", "i",
        {.not_before = now_ - absl::Hours(1), .not_after = now_ + left});
  }
  void Write(const pki::Root& pair, const pki::Certificate& root,
             const std::string& folder = "issuer") {
    Put(folder + "/tls.crt", pair.certificate.ToPem());
    Put(folder + "/tls.key", *pair.key.ToPem());
    Put(folder + "/ca.crt", root.ToPem());
  }
  void Put(const std::string& name, const std::string& text) {
    Spill(folder_ / "new", text);
    chmod((folder_ / "new").c_str(), 0600);
    rename((folder_ / "new").c_str(), (folder_ / name).c_str());
  }
  base::Status Start() {
    auto watch = IssuerWatch::Start(
        *loop_,
        {.place = {folder_ / "issuer", "", ""},
         .trust_domain = "cluster.local",
         .look = absl::Milliseconds(5),
         .retry = absl::Milliseconds(20),
         .clock = [this] { return now_; }},
        [this](const Event& event) { events_.push_back(event); });
    if (!watch.ok()) return watch.status();
    watch_ = *std::move(watch);
    return base::OkStatus();
  }
  // Runs the loop until `done` or for ten seconds.
  bool Await(const std::function<bool()>& done) {
    bool gave_up = false;
    io::Timer deadline(*loop_, [&] {
      gave_up = true;
      loop_->Stop();
    });
    io::Timer look(*loop_, [&] {
      if (done()) loop_->Stop();
      look.Set(absl::Milliseconds(1));
    });
    deadline.Set(absl::Seconds(10));
    look.Set(absl::ZeroDuration());
    loop_->Run();
    return !gave_up;
  }
  std::string Serial() const { return watch_->current()->signer().SerialHex(); }

  absl::Time now_ = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  const pki::Root root_ = pki::NewRoot();
  pki::TempFolder folder_;
  std::unique_ptr<io::Loop> loop_;
  std::unique_ptr<IssuerWatch> watch_;
  std::vector<Event> events_;
};

TEST_F(IssuerWatchTest, NothingToBeginWithIsAnError) {
  EXPECT_FALSE(Start().ok());
  Write(Intermediate(), pki::NewRoot().certificate);
  EXPECT_THAT(std::string(Start().message()),
              HasSubstr("issuer cert is not issued by the trust anchor"));
}

TEST_F(IssuerWatchTest, NewIssuerTakesThePlace) {
  Write(Intermediate(), root_.certificate);
  ASSERT_TRUE(Start().ok());
  const auto old = watch_->current();
  const pki::Root next = Intermediate();
  Write(next, root_.certificate);
  ASSERT_TRUE(Await([&] {
    return Serial() == next.certificate.SerialHex() && !events_.empty();
  }));
  EXPECT_EQ(events_.back().reason, "IssuerUpdated");
  EXPECT_EQ(events_.back().note, "Updated identity issuer");
  EXPECT_FALSE(events_.back().warning);
  // Who had it may finish with it.
  EXPECT_NE(old->signer().SerialHex(), Serial());
}

TEST_F(IssuerWatchTest, MountedSecretMovesOnAsOne) {
  for (const char* name : {"issuer/..1", "issuer/..2"}) {
    std::filesystem::create_directory(folder_ / name);
  }
  Write(Intermediate(), root_.certificate, "issuer/..1");
  const pki::Root next = Intermediate();
  Write(next, root_.certificate, "issuer/..2");
  ASSERT_EQ(symlink("..1", (folder_ / "issuer/..data").c_str()), 0);
  for (const char* name : {"tls.crt", "tls.key", "ca.crt"}) {
    ASSERT_EQ(symlink((std::string("..data/") + name).c_str(),
                      (folder_ / (std::string("issuer/") + name)).c_str()),
              0);
  }
  ASSERT_TRUE(Start().ok());
  ASSERT_EQ(symlink("..2", (folder_ / "issuer/..tmp").c_str()), 0);
  rename((folder_ / "issuer/..tmp").c_str(),
         (folder_ / "issuer/..data").c_str());
  EXPECT_TRUE(Await([&] { return Serial() == next.certificate.SerialHex(); }));
}

TEST_F(IssuerWatchTest, RefusedOneLeavesTheOld) {
  Write(Intermediate(), root_.certificate);
  ASSERT_TRUE(Start().ok());
  const std::string old = Serial();
  // Signed by a root that the bundle does not have.
  const pki::Root stranger = pki::NewRoot();
  const pki::Root theirs = *pki::MakeIntermediate(
      stranger, "cluster.local", "i",
      {.not_before = now_, .not_after = now_ + absl::Hours(1)});
  Write(theirs, root_.certificate);
  bool broken = false;
  ASSERT_TRUE(Await([&] {
    // Then a text that is none.
    if (events_.size() == 1 && !broken) {
      broken = true;
      Put("issuer/tls.crt", "no certificate");
    }
    return events_.size() == 2;
  }));
  EXPECT_EQ(events_[0].reason, "IssuerValidationFailed");
  EXPECT_TRUE(events_[0].warning);
  EXPECT_EQ(events_[1].reason, "IssuerUpdateSkipped");
  EXPECT_THAT(events_[1].note,
              HasSubstr("Skipping issuer update as certs could not be read "
                        "from disk: "));
  EXPECT_EQ(Serial(), old);
}

TEST_F(IssuerWatchTest, WhatOnlyTimeCanMendIsTriedAgain) {
  Write(Intermediate(), root_.certificate);
  ASSERT_TRUE(Start().ok());
  const pki::Root later =
      *pki::MakeIntermediate(root_, "cluster.local", "i",
                             {.not_before = now_ + absl::Minutes(5),
                              .not_after = now_ + absl::Hours(1)});
  Write(later, root_.certificate);
  bool moved = false;
  ASSERT_TRUE(Await([&] {
    if (!moved && !events_.empty()) {
      EXPECT_THAT(events_[0].note, HasSubstr("is not valid before"));
      now_ += absl::Minutes(10);
      moved = true;
    }
    return Serial() == later.certificate.SerialHex();
  }));
}

}  // namespace
}  // namespace nodeward::ca
