// SPDX-License-Identifier: Apache-2.0
#include "identity/trust.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "pki/forge.h"
#include "pki/revoke.h"

namespace nodeward::identity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TrustTest : public testing::Test {
 protected:
  TrustTest() {
    std::filesystem::create_directories(folder_);
    loop_ = *io::Loop::Create();
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~TrustTest() override {
    OnLoop([this] { trust_.reset(); });
    loop_->Stop();
    thread_.join();
    std::filesystem::remove_all(folder_);
  }
  void Start(Trust::Options options) {
    options.trust_domain = "cluster.local";
    OnLoop([&] {
      auto trust =
          Trust::Create(*loop_, &store_, options, [this] { ++changes_; });
      ASSERT_TRUE(trust.ok()) << trust.status();
      trust_ = *std::move(trust);
    });
  }
  void OnLoop(const std::function<void()>& work) {
    absl::Notification done;
    loop_->Post([&] {
      work();
      done.Notify();
    });
    done.WaitForNotification();
  }
  testing::AssertionResult Await(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    bool met = false;
    while (!met && absl::Now() < deadline) {
      OnLoop([&] { met = condition(); });
      absl::SleepFor(absl::Milliseconds(2));
    }
    return met ? testing::AssertionSuccess()
               : testing::AssertionFailure() << "not in time";
  }
  std::string Path(const std::string& name) const { return folder_ / name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
  }
  size_t Roots() const {
    const auto bundle = store_.bundle();
    return bundle == nullptr ? 0 : bundle->roots.size();
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      ("nodeward-trust-" + std::to_string(getpid()) + "-" +
       testing::UnitTest::GetInstance()->current_test_info()->name());
  const pki::Root one_ = pki::NewRoot();
  const pki::Root two_ = pki::NewRoot();
  std::unique_ptr<io::Loop> loop_;
  pki::CredentialStore store_;
  std::unique_ptr<Trust> trust_;
  int changes_ = 0;
  std::thread thread_;
};

TEST_F(TrustTest, RootsComeFromTheIssuerWhereNoFileIsNamed) {
  Start({});
  EXPECT_EQ(store_.bundle(), nullptr);
  OnLoop([this] {
    EXPECT_TRUE(trust_->Offer({one_.certificate}));
    EXPECT_FALSE(trust_->Offer({one_.certificate}));
    EXPECT_EQ(trust_->RootsFor({two_.certificate}).size(), 1);
  });
  EXPECT_EQ(Roots(), 1);
  EXPECT_TRUE(Await([this] { return changes_ == 1; }));
}

TEST_F(TrustTest, AFileIsFollowed) {
  Write("roots.pem", one_.certificate.ToPem());
  Start({.bundle = Path("roots.pem")});
  ASSERT_EQ(Roots(), 1);
  const uint64_t generation = store_.bundle()->generation;
  OnLoop([this] {
    EXPECT_FALSE(trust_->Offer({two_.certificate}));
    EXPECT_EQ(trust_->RootsFor({two_.certificate})[0].Sha256Hex(),
              one_.certificate.Sha256Hex());
  });
  Write("roots.pem", one_.certificate.ToPem() + two_.certificate.ToPem());
  EXPECT_TRUE(Await([this] { return Roots() == 2; }));
  EXPECT_GT(store_.bundle()->generation, generation);
  // By rename, as careful writers do.
  Write("next", two_.certificate.ToPem());
  std::filesystem::rename(Path("next"), Path("roots.pem"));
  EXPECT_TRUE(Await([this] { return Roots() == 1; }));
  EXPECT_EQ(store_.bundle()->roots[0].Sha256Hex(),
            two_.certificate.Sha256Hex());
}

TEST_F(TrustTest, AMountedConfigMapIsFollowed) {
  const auto generation = [this](const std::string& name,
                                 const std::string& text) {
    std::filesystem::create_directory(Path(name));
    Write(name + "/ca.crt", text);
    std::filesystem::create_symlink(name, Path("..data_tmp"));
    std::filesystem::rename(Path("..data_tmp"), Path("..data"));
  };
  generation("..1", one_.certificate.ToPem());
  std::filesystem::create_symlink("..data/ca.crt", Path("ca.crt"));
  Start({.bundle = Path("ca.crt")});
  ASSERT_EQ(Roots(), 1);
  generation("..2", one_.certificate.ToPem() + two_.certificate.ToPem());
  std::filesystem::remove_all(Path("..1"));
  EXPECT_TRUE(Await([this] { return Roots() == 2; }));
}

TEST_F(TrustTest, AFolderIsTheSumOfItsFiles) {
  std::filesystem::create_directory(Path("roots"));
  Write("roots/one.crt", one_.certificate.ToPem());
  Write("roots/README", "no certificate");
  Start({.bundle = Path("roots")});
  ASSERT_EQ(Roots(), 1);
  Write("roots/two.pem", two_.certificate.ToPem());
  EXPECT_TRUE(Await([this] { return Roots() == 2; }));
  std::filesystem::remove(Path("roots/one.crt"));
  EXPECT_TRUE(Await([this] { return Roots() == 1; }));
}

TEST_F(TrustTest, WhatBreaksLeavesTheLastGoodOne) {
  Start({.bundle = Path("roots.pem")});
  EXPECT_EQ(store_.bundle(), nullptr);
  OnLoop([this] {
    EXPECT_THAT(trust_->problems(), ElementsAre(HasSubstr("roots.pem")));
  });
  Write("roots.pem", one_.certificate.ToPem());
  ASSERT_TRUE(Await([this] { return Roots() == 1; }));
  OnLoop([this] { EXPECT_THAT(trust_->problems(), IsEmpty()); });
  for (const char* broken : {"", "-----BEGIN CERTIFICATE-----\nrubbish"}) {
    Write("roots.pem", broken);
    EXPECT_TRUE(Await([this] { return !trust_->problems().empty(); }));
    EXPECT_EQ(Roots(), 1);
    Write("roots.pem", one_.certificate.ToPem());
    EXPECT_TRUE(Await([this] { return trust_->problems().empty(); }));
  }
  std::filesystem::remove(Path("roots.pem"));
  EXPECT_TRUE(Await([this] { return !trust_->problems().empty(); }));
  EXPECT_EQ(Roots(), 1);
}

TEST_F(TrustTest, RevocationListsAndFederation) {
  Write("roots.pem", one_.certificate.ToPem());
  Write("crl.pem", pki::RevokePem(one_, {}));
  Write("other.pem", two_.certificate.ToPem());
  Start({.bundle = Path("roots.pem"),
         .crl = Path("crl.pem"),
         .federation = {{"other.example", Path("other.pem")}}});
  ASSERT_EQ(Roots(), 1);
  EXPECT_EQ(store_.bundle()->revocations.size(), 1);
  EXPECT_EQ(store_.bundle()->federation.at("other.example").size(), 1);
  EXPECT_TRUE(store_.bundle()->Trusts("other.example"));
  const std::string before = store_.bundle()->revocations[0].Sha256Hex();
  Write("crl.pem", pki::RevokePem(one_, {&two_.certificate}));
  EXPECT_TRUE(Await(
      [&] { return store_.bundle()->revocations[0].Sha256Hex() != before; }));
  // Emptied, not removed: that is meant.
  Write("other.pem", "\n");
  EXPECT_TRUE(Await([this] {
    return store_.bundle()->federation.at("other.example").empty();
  }));
  OnLoop([this] { EXPECT_THAT(trust_->problems(), IsEmpty()); });
}

}  // namespace
}  // namespace nodeward::identity
