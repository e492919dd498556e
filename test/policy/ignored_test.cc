// SPDX-License-Identifier: Apache-2.0
#include "policy/ignored.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace nodeward::policy {
namespace {

using ::testing::HasSubstr;

class IgnoredTest : public ::testing::Test {
 protected:
  IgnoredTest() { workload_.name_space = "foo"; }
  void Add(std::string name, std::string ns, int64_t created,
           model::Labels selector = {}) {
    model::PeerAuthentication policy;
    policy.name = std::move(name);
    policy.name_space = std::move(ns);
    policy.created = created;
    policy.selector = std::move(selector);
    snapshot_.peer_authentications.push_back(std::move(policy));
  }
  std::vector<IgnoredPolicy> Find() {
    snapshot_.Finish();
    return FindIgnored(snapshot_, workload_,
                       {base::IpAddress(), std::nullopt, 80});
  }
  model::Snapshot snapshot_;
  model::Workload workload_;
};

TEST_F(IgnoredTest, YoungerPeerAuthenticationsOfEachLevel) {
  workload_.labels = {{"app", "a"}};
  Add("old", "foo", 1);
  Add("young", "foo", 2);
  Add("mesh-old", "istio-system", 1);
  Add("mesh-young", "istio-system", 2);
  Add("narrow-old", "foo", 1, {{"app", "a"}});
  Add("narrow-young", "foo", 2, {{"app", "a"}});
  Add("narrow-other", "foo", 3, {{"app", "b"}});
  Add("elsewhere", "bar", 3);
  const auto ignored = Find();
  ASSERT_EQ(ignored.size(), 3u);
  EXPECT_EQ(ignored[0].policy, "foo/young");
  EXPECT_EQ(ignored[0].kind, "PeerAuthentication");
  EXPECT_THAT(ignored[0].reason, HasSubstr("only the oldest counts: foo/old"));
  EXPECT_EQ(ignored[1].policy, "foo/narrow-young");
  EXPECT_EQ(ignored[2].policy, "istio-system/mesh-young");
}

TEST_F(IgnoredTest, NothingWhereAllCounts) {
  Add("a", "foo", 1);
  auto policy = std::make_shared<model::AuthorizationPolicy>();
  policy->name.push_back('p');
  policy->name_space.append("foo");
  snapshot_.authorization_policies = {policy};
  EXPECT_TRUE(Find().empty());
}

}  // namespace
}  // namespace nodeward::policy
