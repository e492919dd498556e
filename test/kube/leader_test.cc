// SPDX-License-Identifier: Apache-2.0
#include "kube/leader.h"

#include <gmock/gmock.h>

#include "kube/api_fixture.h"

namespace nodeward::kube {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kLeases[] = "/apis/coordination.k8s.io/v1/namespaces/s/leases";

class LeaderTest : public ApiTest {
 protected:
  void TearDown() override {
    loop_.Do([&] { leader_.reset(); });
    ApiTest::TearDown();
  }
  // The server finds none and takes whatever is written.
  void Start(absl::Duration renew) {
    const std::string lease =
        R"({"metadata":{"name":"ca","resourceVersion":"1"},)"
        R"("spec":{"holderIdentity":"me","leaseDurationSeconds":15}})";
    Set(base::StrCat("GET ", kLeases, "/ca"), 404, "{}");
    Set(base::StrCat("POST ", kLeases), 201, lease);
    Set(base::StrCat("PUT ", kLeases, "/ca"), 200, lease);
    loop_.Do([&] {
      leader_ = std::make_unique<Leader>(
          loop_.loop(), client_.get(),
          Election::Options{.place = "s/ca",
                            .identity = "me",
                            .renew = renew,
                            .retry = absl::Milliseconds(50)},
          [] { return 0.0; }, [this](bool leads) { told_.push_back(leads); });
      leader_->Start();
    });
    AwaitOnLoop([&] { return leader_->leads(); });
  }
  std::vector<bool> Told() {
    std::vector<bool> told;
    loop_.Do([&] { told = told_; });
    return told;
  }

  std::unique_ptr<Leader> leader_;
  std::vector<bool> told_;
};

TEST_F(LeaderTest, LeadsAndRenews) {
  Start(absl::Minutes(5));
  Await([&] {
    const std::string requests = Requests();
    const size_t first = requests.find("PUT ");
    return first != std::string::npos &&
           requests.find("PUT ", first + 1) != std::string::npos;
  });
  EXPECT_THAT(Requests(), HasSubstr(R"("holderIdentity":"me")"));
  EXPECT_EQ(Told(), std::vector<bool>{true});
}

TEST_F(LeaderTest, EndsWhenItCannotRenew) {
  Start(absl::Seconds(2));
  StopServer(SIGSTOP);
  AwaitOnLoop([&] { return !leader_->leads(); });
  EXPECT_FALSE(Told().back());
  StopServer(SIGCONT);
}

TEST_F(LeaderTest, GivesTheLeaseBack) {
  Start(absl::Minutes(5));
  std::promise<void> done;
  loop_.Do([&] { leader_->Resign([&] { done.set_value(); }); });
  done.get_future().get();
  EXPECT_EQ(Told(), (std::vector<bool>{true, false}));
  EXPECT_THAT(Requests(), HasSubstr(R"("holderIdentity":"")"));
}

TEST_F(LeaderTest, OneThatDoesNotLeadHasNothingToGive) {
  Set(base::StrCat("GET ", kLeases, "/ca"), 403, "{}");
  bool done = false;
  loop_.Do([&] {
    leader_ = std::make_unique<Leader>(
        loop_.loop(), client_.get(),
        Election::Options{.place = "s/ca", .identity = "me"},
        [] { return 0.0; }, [](bool) {});
    leader_->Start();
    leader_->Resign([&] { done = true; });
  });
  EXPECT_TRUE(done);
  EXPECT_THAT(Requests(), Not(HasSubstr("PUT ")));
}

}  // namespace
}  // namespace nodeward::kube
