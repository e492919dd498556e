// SPDX-License-Identifier: Apache-2.0
#include "ca/leadership.h"

#include <gmock/gmock.h>

#include "kube/kubernetes_fixture.h"

namespace nodeward::ca {
namespace {

using testing::StartsWith;

constexpr char kLease[] =
    "/apis/coordination.k8s.io/v1/namespaces/system/leases/ca";
constexpr char kRoots[] = "/api/v1/namespaces/system/configmaps/roots";
const Event kUpdated{false, kIssuerUpdated, "Updated identity issuer", "b"};

class LeadershipTest : public kube::KubernetesTest {
 protected:
  void TearDown() override {
    loop_.Do([&] {
      one_.reset();
      two_.reset();
    });
    kube::KubernetesTest::TearDown();
  }
  std::unique_ptr<Leadership> Make(const std::string& instance) {
    Leadership::Options options;
    options.api.server = url_;
    options.api.ca = folder_ / "roots";
    options.api.token = folder_ / "token";
    if (elects_) options.lease = ObjectName{"system", "ca"};
    options.events_on = ObjectName{"system", "ca"};
    options.publish = RootBundles::Options{.place = {"system", "roots"},
                                           .patience = absl::ZeroDuration()};
    options.instance = instance;
    std::unique_ptr<Leadership> made;
    loop_.Do([&] {
      made = *Leadership::Start(loop_.loop(), options);
      made->SetRoots(instance + "'s");
    });
    return made;
  }
  std::string Roots() {
    const base::Json found = Get(kRoots);
    return base::GetString(base::GetMember(found, "data"), "root-cert.pem");
  }
  size_t Events() {
    return Asked("POST /apis/events.k8s.io/v1/namespaces/system/events ");
  }

  bool elects_ = true;
  std::unique_ptr<Leadership> one_;
  std::unique_ptr<Leadership> two_;
};

TEST_F(LeadershipTest, OneOfTwoWritesAndWhenItGoesTheOther) {
  one_ = Make("one");
  AwaitOnLoop([&] { return one_->leads(); });
  two_ = Make("two");
  Await([&] { return Roots() == "one's"; });
  // Both see the same; and what the second wants is not written.
  loop_.Do([&] {
    one_->Tell(kUpdated);
    two_->Tell(kUpdated);
  });
  Await([&] { return Events() == 1; });
  EXPECT_THAT(Get(kLease)["spec"]["holderIdentity"].get<std::string>(),
              StartsWith("one_"));
  EXPECT_EQ(
      Get(kLease)["metadata"]["labels"],
      base::Json::object({{"app.kubernetes.io/managed-by", "nodeward-ca"}}));
  EXPECT_EQ(Roots(), "one's");
  std::promise<void> resigned;
  loop_.Do([&] { one_->Resign([&] { resigned.set_value(); }); });
  resigned.get_future().get();
  AwaitOnLoop([&] { return two_->leads(); });
  Await([&] { return Roots() == "two's"; });
  // It asks to write the one that it had kept, and learns that it is there.
  Await([&] { return Events() == 2; });
  const std::string requests = Requests();
  const auto name = [&](size_t at) {
    return requests.substr(requests.find(R"("name":"ca.)", at), 28);
  };
  EXPECT_EQ(name(requests.find("POST /apis/events")),
            name(requests.rfind("POST /apis/events")));
}

TEST_F(LeadershipTest, WithoutALeaseItLeads) {
  elects_ = false;
  one_ = Make("one");
  Await([&] { return Roots() == "one's"; });
  loop_.Do([&] { one_->SetRoots("new"); });
  Await([&] { return Roots() == "new"; });
  bool done = false;
  loop_.Do([&] { one_->Resign([&] { done = true; }); });
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace nodeward::ca
