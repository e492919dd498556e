// SPDX-License-Identifier: Apache-2.0
#include "identity/renewer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "absl/synchronization/notification.h"
#include "identity/fake_issuer.h"
#include "pki/forge.h"

namespace nodeward::identity {
namespace {

using pki::Id;
using testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

// The loop runs on its own thread; everything of the renewer's happens there.
class RenewerTest : public testing::Test {
 protected:
  RenewerTest() {
    loop_ = *io::Loop::Create();
    thread_ = std::thread([this] { loop_->Run(); });
    OnLoop([this] { Start(); });
  }
  ~RenewerTest() override {
    OnLoop([this] {
      renewer_.reset();
      trust_.reset();
    });
    loop_->Stop();
    thread_.join();
  }

  void Start() {
    trust_ = *Trust::Create(
        *loop_, &store_,
        {.trust_domain = "cluster.local", .aliases = {"old.example"}}, nullptr);
    Renewer::Options options;
    options.clock = [this] { return Clock(); };
    renewer_.emplace(*loop_, &issuer_, &store_, trust_.get(), options, [this] {
      ++changes_;
      if (on_change_) on_change_();
    });
    issuer_.clock = options.clock;
  }
  // Runs `work` on the loop and waits for it.
  void OnLoop(const std::function<void()>& work) {
    absl::Notification done;
    loop_->Post([&] {
      work();
      done.Notify();
    });
    done.WaitForNotification();
  }
  void Await(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + kPatience;
    bool met = false;
    while (!met && absl::Now() < deadline) {
      OnLoop([&] { met = condition(); });
      std::this_thread::yield();
    }
    ASSERT_TRUE(met);
  }
  // Answers are posted: two turns of the mailbox and all is done.
  void Settle() {
    OnLoop([] {});
    OnLoop([] {});
  }
  void Want(std::set<model::Identity> wanted) {
    OnLoop([&] { renewer_->SetWanted(std::move(wanted)); });
    Settle();
  }
  void Advance(absl::Duration by) {
    OnLoop([&] { offset_ += by; });
  }
  absl::Time Clock() const { return absl::Now() + offset_; }
  CertificateStatus StatusOf(const model::Identity& identity) {
    CertificateStatus found;
    OnLoop([&] {
      for (const CertificateStatus& each : renewer_->status()) {
        if (each.identity == identity) found = each;
      }
    });
    EXPECT_EQ(found.identity, identity);
    return found;
  }
  bool Complete() {
    bool complete = false;
    OnLoop([&] { complete = renewer_->complete(); });
    return complete;
  }
  // Answers the one open request as `lie` made of the honest answer.
  void AnswerWith(
      const std::function<base::StatusOr<pki::Issued>(pki::Issued)>& lie) {
    OnLoop([&] {
      const FakeIssuer::Request request = issuer_.TakeFirst();
      request.done(lie(issuer_.Honest(request)));
    });
    Settle();
  }
  void ExpectRefusal(const std::string& cause) {
    const CertificateStatus status = StatusOf(Id("a"));
    EXPECT_EQ(status.state, CertificateState::kPending);
    EXPECT_THAT(status.error, HasSubstr(cause));
    EXPECT_EQ(store_.Find(Id("a")), nullptr);
    EXPECT_EQ(store_.bundle(), nullptr);
  }

  // Declared in the order in which they must outlive one another.
  std::unique_ptr<io::Loop> loop_;
  pki::CredentialStore store_;
  FakeIssuer issuer_;
  std::unique_ptr<Trust> trust_;
  std::optional<Renewer> renewer_;
  absl::Duration offset_;
  int changes_ = 0;
  std::function<void()> on_change_;
  std::thread thread_;
};

TEST_F(RenewerTest, AsksAtOnceAndStores) {
  issuer_.at_once = true;
  Want({Id("a"), Id("b")});
  EXPECT_EQ(issuer_.asked, 2);
  const auto a = store_.Find(Id("a"));
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->identity, Id("a"));
  EXPECT_TRUE(a->leaf().Matches(a->key));
  EXPECT_NE(a->generation, store_.Find(Id("b"))->generation);
  ASSERT_NE(store_.bundle(), nullptr);
  EXPECT_EQ(store_.bundle()->trust_domain, "cluster.local");
  EXPECT_TRUE(store_.bundle()->Trusts("old.example"));
  EXPECT_GE(changes_, 1);
  const CertificateStatus status = StatusOf(Id("a"));
  EXPECT_EQ(status.state, CertificateState::kValid);
  EXPECT_EQ(status.serial, a->leaf().SerialHex());
  EXPECT_EQ(status.not_after, a->leaf().not_after());
  EXPECT_EQ(status.error, "");
  OnLoop([&] { EXPECT_EQ(renewer_->IssuerDescription(), "fake"); });
}

TEST_F(RenewerTest, TheBundleIsThereBeforeTheFirstCredential) {
  on_change_ = [this] {
    EXPECT_FALSE(store_.All().empty());
    EXPECT_NE(store_.bundle(), nullptr);
  };
  issuer_.at_once = true;
  Want({Id("a")});
  EXPECT_EQ(changes_, 1);
}

TEST_F(RenewerTest, IsPendingUntilAnswered) {
  Want({Id("a")});
  EXPECT_EQ(StatusOf(Id("a")).state, CertificateState::kPending);
  EXPECT_FALSE(Complete());
  EXPECT_EQ(store_.Find(Id("a")), nullptr);
  EXPECT_EQ(changes_, 0);
}

TEST_F(RenewerTest, HasEightRequestsInFlightAndNoMore) {
  std::set<model::Identity> wanted;
  for (int i = 0; i < 20; ++i) wanted.insert(Id("sa" + std::to_string(i)));
  Want(wanted);
  EXPECT_EQ(issuer_.asked, 8);
  OnLoop([this] { issuer_.AnswerFirst(); });
  Settle();
  EXPECT_EQ(issuer_.asked, 9);
  // A place is free also when nobody wants the answer any more.
  Want({});
  Want({Id("late")});
  EXPECT_EQ(issuer_.asked, 9);
  OnLoop([this] { issuer_.AnswerFirst(); });
  Settle();
  EXPECT_EQ(issuer_.asked, 10);
}

TEST_F(RenewerTest, AsksOnceWhileWaiting) {
  Want({Id("a")});
  Want({Id("a")});
  Advance(absl::Hours(48));
  Want({Id("a")});
  EXPECT_EQ(issuer_.asked, 1);
}

TEST_F(RenewerTest, RenewsAtHalfLifeWithAnotherKey) {
  issuer_.at_once = true;
  Want({Id("a")});
  const auto first = store_.Find(Id("a"));
  Advance(absl::Hours(24 * 0.44));
  Want({Id("a")});
  EXPECT_EQ(issuer_.asked, 1);
  Advance(absl::Hours(24 * 0.12));
  Want({Id("a")});
  EXPECT_EQ(issuer_.asked, 2);
  const auto second = store_.Find(Id("a"));
  ASSERT_NE(second, nullptr);
  EXPECT_GT(second->generation, first->generation);
  EXPECT_FALSE(second->leaf().Matches(first->key));
  EXPECT_EQ(changes_, 2);
}

TEST_F(RenewerTest, RenewsByItself) {
  issuer_.at_once = true;
  issuer_.lifetime = absl::Seconds(3);
  Want({Id("a")});
  Await([this] {
    const auto credential = store_.Find(Id("a"));
    return credential != nullptr && credential->generation >= 2;
  });
}

TEST_F(RenewerTest, KeepsTheOldOneWhileItIsValidAndDropsItWhenExpired) {
  issuer_.at_once = true;
  Want({Id("a")});
  const auto first = store_.Find(Id("a"));
  issuer_.failing = true;
  Advance(absl::Hours(14));
  Want({Id("a")});
  EXPECT_EQ(store_.Find(Id("a")), first);
  CertificateStatus status = StatusOf(Id("a"));
  EXPECT_EQ(status.state, CertificateState::kRenewalFailing);
  EXPECT_EQ(status.error, "the CA is away");
  EXPECT_TRUE(Complete());

  const int changes = changes_;
  Advance(absl::Hours(11));
  Want({Id("a")});
  EXPECT_EQ(store_.Find(Id("a")), nullptr);
  EXPECT_EQ(changes_, changes + 1);
  status = StatusOf(Id("a"));
  EXPECT_EQ(status.state, CertificateState::kExpired);
  EXPECT_EQ(status.serial, first->leaf().SerialHex());
  EXPECT_FALSE(Complete());

  issuer_.failing = false;
  Advance(absl::Minutes(5));
  Want({Id("a")});
  EXPECT_NE(store_.Find(Id("a")), nullptr);
  EXPECT_EQ(StatusOf(Id("a")).state, CertificateState::kValid);
}

TEST_F(RenewerTest, TakesAnExpiredOneOutByItself) {
  issuer_.at_once = true;
  issuer_.lifetime = absl::Seconds(2);
  Want({Id("a")});
  ASSERT_NE(store_.Find(Id("a")), nullptr);
  OnLoop([this] { issuer_.failing = true; });
  Await([this] { return store_.Find(Id("a")) == nullptr; });
  EXPECT_EQ(StatusOf(Id("a")).state, CertificateState::kExpired);
}

TEST_F(RenewerTest, WhoIsCutOffWaitsForAShortWhileOnly) {
  issuer_.at_once = true;
  Want({Id("a")});
  ASSERT_NE(store_.Find(Id("a")), nullptr);
  issuer_.failing = true;
  Advance(absl::Hours(14));
  for (int i = 0; i < 12; ++i) {
    Want({Id("a")});
    Advance(absl::Minutes(4));
  }
  Want({Id("a")});
  const CertificateStatus failing = StatusOf(Id("a"));
  ASSERT_EQ(failing.state, CertificateState::kRenewalFailing);
  EXPECT_GT(failing.next_attempt - Clock(), absl::Seconds(100));
  Advance(failing.not_after - Clock() + absl::Seconds(1));
  Want({Id("a")});
  const CertificateStatus expired = StatusOf(Id("a"));
  ASSERT_EQ(expired.state, CertificateState::kExpired);
  EXPECT_LT(expired.next_attempt - Clock(), absl::Seconds(19));
}

TEST_F(RenewerTest, TriesAgainMoreAndMoreSlowly) {
  issuer_.at_once = true;
  issuer_.failing = true;
  for (int failures = 0; failures < 10;) {
    Want({Id("a")});
    // The timer may have been faster than we.
    absl::Duration wait;
    OnLoop([&] {
      ASSERT_GT(issuer_.asked, failures);
      failures = issuer_.asked;
      wait = renewer_->status().front().next_attempt - issuer_.asked_at;
    });
    const absl::Duration expected =
        std::min(absl::Seconds(1 << (failures - 1)), absl::Seconds(15));
    EXPECT_GE(wait, expected * 0.8) << failures;
    EXPECT_LE(wait, expected * 1.2 + absl::Seconds(1)) << failures;
    Advance(wait);
  }
}

TEST_F(RenewerTest, TriesAgainByItself) {
  issuer_.at_once = true;
  issuer_.failing = true;
  Want({Id("a")});
  OnLoop([this] { issuer_.failing = false; });
  Await([this] { return store_.Find(Id("a")) != nullptr; });
}

TEST_F(RenewerTest, ForgetsWhatIsNoLongerWanted) {
  issuer_.at_once = true;
  Want({Id("a"), Id("b")});
  const std::weak_ptr<const pki::Credential> watch = store_.Find(Id("a"));
  const int changes = changes_;
  Want({Id("b")});
  EXPECT_EQ(store_.Find(Id("a")), nullptr);
  EXPECT_TRUE(watch.expired());  // and with it the key
  EXPECT_NE(store_.Find(Id("b")), nullptr);
  EXPECT_EQ(changes_, changes + 1);
  OnLoop([&] { EXPECT_EQ(renewer_->status().size(), 1u); });
}

TEST_F(RenewerTest, IgnoresAnswersToForgottenRequests) {
  Want({Id("a")});
  Want({});
  Want({Id("a")});
  ASSERT_EQ(issuer_.asked, 2);
  OnLoop([this] { issuer_.AnswerFirst(); });
  Settle();
  EXPECT_EQ(store_.Find(Id("a")), nullptr);
  OnLoop([this] { issuer_.AnswerFirst(); });
  Settle();
  EXPECT_NE(store_.Find(Id("a")), nullptr);
}

TEST_F(RenewerTest, RefusesACertificateForAnotherKey) {
  Want({Id("a")});
  AnswerWith([this](pki::Issued issued) {
    const pki::PrivateKey other = *pki::PrivateKey::GenerateP256();
    issued.chain = {*pki::SignLeaf(
        issuer_.root, other.native(), Id("a"),
        {.not_before = Clock(), .not_after = Clock() + absl::Hours(1)})};
    return issued;
  });
  ExpectRefusal("another key");
}

TEST_F(RenewerTest, RefusesACertificateForSomebodyElse) {
  Want({Id("a")});
  OnLoop([this] {
    FakeIssuer::Request request = issuer_.TakeFirst();
    request.identity = Id("b");
    request.done(issuer_.Honest(request));
  });
  Settle();
  ExpectRefusal("was asked for");
}

TEST_F(RenewerTest, RefusesAChainThatDoesNotLeadToTheRoots) {
  Want({Id("a")});
  AnswerWith([](pki::Issued issued) {
    issued.roots = {pki::NewRoot("evil.example").certificate};
    return issued;
  });
  ExpectRefusal("not among the trusted roots");
}

TEST_F(RenewerTest, RefusesAnExpiredCertificateAndAnEmptyAnswer) {
  issuer_.lifetime = absl::Seconds(-10);
  Want({Id("a")});
  OnLoop([this] { issuer_.AnswerFirst(); });
  Settle();
  ExpectRefusal("expired on");
  Advance(absl::Seconds(5));
  Want({Id("a")});
  AnswerWith([](pki::Issued) { return pki::Issued{}; });
  ExpectRefusal("no certificate");
}

TEST_F(RenewerTest, TakesAnswersOnOtherThreads) {
  Want({Id("a")});
  FakeIssuer::Request request;
  OnLoop([&] { request = issuer_.TakeFirst(); });
  std::thread other([&] { request.done(issuer_.Honest(request)); });
  other.join();
  Await([this] { return store_.Find(Id("a")) != nullptr; });
}

TEST_F(RenewerTest, TakesASecondAnswerForNone) {
  Want({Id("a")});
  OnLoop([this] {
    const FakeIssuer::Request request = issuer_.TakeFirst();
    request.done(issuer_.Honest(request));
    request.done(absl::UnavailableError("again"));
  });
  Settle();
  EXPECT_EQ(StatusOf(Id("a")).state, CertificateState::kValid);
}

TEST_F(RenewerTest, MayGoWhileRequestsAreOpen) {
  Want({Id("a"), Id("b")});
  OnLoop([this] { renewer_.reset(); });
  std::thread other([this] { issuer_.AnswerFirst(); });
  other.join();
  OnLoop([this] { issuer_.AnswerFirst(); });
  Settle();
  EXPECT_EQ(store_.Find(Id("a")), nullptr);
  EXPECT_EQ(changes_, 0);
}

TEST_F(RenewerTest, MayGoInTheMiddleOfTellingAChange) {
  issuer_.at_once = true;
  on_change_ = [this] { renewer_.reset(); };
  Want({Id("a")});
  EXPECT_EQ(changes_, 1);
  EXPECT_FALSE(renewer_.has_value());
}

TEST_F(RenewerTest, ANewRootMakesANewBundleAndTheSameOneDoesNot) {
  issuer_.at_once = true;
  Want({Id("a")});
  const uint64_t first = store_.bundle()->generation;
  Want({Id("a"), Id("b")});
  EXPECT_EQ(store_.bundle()->generation, first);
  OnLoop([this] { issuer_.root = pki::NewRoot(); });
  Want({Id("a"), Id("b"), Id("c")});
  EXPECT_GT(store_.bundle()->generation, first);
  EXPECT_EQ(store_.bundle()->roots[0].Sha256Hex(),
            issuer_.root.certificate.Sha256Hex());
}

TEST(CertificateStateText, HasAWordForEach) {
  EXPECT_EQ(CertificateStateText(CertificateState::kPending), "pending");
  EXPECT_EQ(CertificateStateText(CertificateState::kValid), "valid");
  EXPECT_EQ(CertificateStateText(CertificateState::kRenewalFailing),
            "renewal failing");
  EXPECT_EQ(CertificateStateText(CertificateState::kExpired), "expired");
}

TEST_F(RenewerTest, WhyThereIsNoneIsTold) {
  Want({Id("a")});
  EXPECT_EQ(store_.WhyNone(Id("a")), "not issued yet");
  OnLoop([&] {
    issuer_.TakeFirst().done(absl::UnavailableError("the CA is away"));
  });
  Settle();
  EXPECT_EQ(store_.WhyNone(Id("a")), "not issued yet (the CA is away)");
  EXPECT_EQ(StatusOf(Id("a")).failures, 1);
}

// A bundle of a file rules: what the CA calls its roots does not count.
class PinnedRenewerTest : public RenewerTest {
 protected:
  PinnedRenewerTest() {
    std::filesystem::create_directories(folder_);
    Write({issuer_.root.certificate});
    OnLoop([this] {
      renewer_.reset();
      trust_ = *Trust::Create(
          *loop_, &store_, {.trust_domain = "cluster.local", .bundle = file()},
          [this] { renewer_->TrustChanged(); });
      Renewer::Options options;
      options.clock = [this] { return Clock(); };
      renewer_.emplace(*loop_, &issuer_, &store_, trust_.get(), options,
                       [this] { ++changes_; });
    });
  }
  ~PinnedRenewerTest() override { std::filesystem::remove_all(folder_); }
  std::string file() const { return folder_ / "roots.pem"; }
  void Write(const std::vector<pki::Certificate>& roots) const {
    std::string text;
    for (const pki::Certificate& each : roots) text += each.ToPem();
    std::ofstream(folder_ / "new") << text;
    std::filesystem::rename(folder_ / "new", file());
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      ("nodeward-renewer-" + std::to_string(getpid()) + "-" +
       testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(PinnedRenewerTest, AnIssuerThatIsNotTrustedYetLeavesTheOldCertificate) {
  issuer_.at_once = true;
  Want({Id("a")});
  const auto first = store_.Find(Id("a"));
  ASSERT_NE(first, nullptr);
  const pki::Root old = std::move(issuer_.root);
  issuer_.root = pki::NewRoot();
  Advance(absl::Hours(14));
  Want({Id("a")});
  EXPECT_EQ(store_.Find(Id("a")), first);
  CertificateStatus status = StatusOf(Id("a"));
  EXPECT_EQ(status.state, CertificateState::kRenewalFailing);
  EXPECT_THAT(status.error, HasSubstr("not among the trusted roots"));
  // The bundle gets the new root: it is tried again at once.
  Write({old.certificate, issuer_.root.certificate});
  Await([&] { return store_.Find(Id("a")) != first; });
  EXPECT_EQ(StatusOf(Id("a")).state, CertificateState::kValid);
}

TEST_F(PinnedRenewerTest, ACertificateThatLosesItsRootIsAskedForAtOnce) {
  issuer_.at_once = true;
  Want({Id("a")});
  const auto first = store_.Find(Id("a"));
  ASSERT_NE(first, nullptr);
  issuer_.root = pki::NewRoot();
  Write({issuer_.root.certificate});
  Await([&] { return store_.Find(Id("a")) != first; });
  EXPECT_EQ(issuer_.asked, 2);
}

}  // namespace
}  // namespace nodeward::identity
