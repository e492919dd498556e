// SPDX-License-Identifier: Apache-2.0
#include "ca/authorizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ca/pods_fixture.h"

namespace nodeward::ca {
namespace {

using model::Membership;
using testing::HasSubstr;

constexpr char kOnA[] = "spiffe://cluster.local/ns/mesh/sa/on-a";

class AuthorizerTest : public testing::Test {
 protected:
  AuthorizerTest() {
    auto agent = std::make_shared<model::Workload>(
        *Pod("agent-x", "node-a", Membership::kNotOptedIn, "sys"));
    model::Identity its_own = agent->identity;
    its_own.service_account = "agent";
    agent->identity = its_own;
    auto lost = std::make_shared<model::Workload>(*agent);
    lost->name = "agent-y";
    lost->uid = "uid-agent-y";
    lost->node = "";
    pods_ =
        MakePods({Pod("on-a", "node-a"), Pod("on-b", "node-b"),
                  Pod("left", "node-a", Membership::kNotOptedIn),
                  Pod("host", "node-a", Membership::kHostNetwork),
                  Pod("done", "node-a", Membership::kTerminal), agent, lost});
  }
  base::StatusOr<model::Identity> Ask(const Caller& caller,
                                      const std::string& who) const {
    return authorizer_.Authorize(caller, who, pods_.get());
  }
  void ExpectDenied(const Caller& caller, const std::string& who,
                    const std::string& why) const {
    const base::Status status = Ask(caller, who).status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }

  const Authorizer authorizer_{{"cluster.local", {{"sys", "agent"}}}};
  const Caller agent_{"sys", "agent", "", "", "node-a"};
  std::shared_ptr<const Pods> pods_;
};

TEST_F(AuthorizerTest, EverybodyMayBeItself) {
  const Caller anybody{"mesh", "app", "", "", ""};
  const auto own = Ask(anybody, "");
  ASSERT_TRUE(own.ok());
  EXPECT_EQ(own->ToSpiffe(), "spiffe://cluster.local/ns/mesh/sa/app");
  EXPECT_EQ(*Ask(anybody, own->ToSpiffe()), *own);
}

TEST_F(AuthorizerTest, AgentMayBePodsOfItsNode) {
  EXPECT_TRUE(Ask(agent_, kOnA).ok()) << Ask(agent_, kOnA).status();
  const Caller by_pod{"sys", "agent", "agent-x", "uid-agent-x", ""};
  EXPECT_TRUE(Ask(by_pod, kOnA).ok()) << Ask(by_pod, kOnA).status();
}

TEST_F(AuthorizerTest, FirstATrustedAgent) {
  ExpectDenied({"mesh", "agent", "", "", "node-a"}, kOnA,
               "system:serviceaccount:mesh:agent is not a trusted agent");
  ExpectDenied({"sys", "other", "", "", "node-a"}, kOnA, "not a trusted agent");
}

TEST_F(AuthorizerTest, SecondANodeThatIsProved) {
  ExpectDenied({"sys", "agent", "", "", ""}, kOnA, "neither node nor pod");
  // A name without a UID could be a later pod's.
  ExpectDenied({"sys", "agent", "agent-x", "", ""}, kOnA,
               "neither node nor pod");
  ExpectDenied({"sys", "agent", "agent-x", "uid-before", ""}, kOnA,
               "another UID");
  ExpectDenied({"sys", "agent", "agent-z", "uid-agent-z", ""}, kOnA,
               "is not known");
  ExpectDenied({"sys", "agent", "agent-y", "uid-agent-y", ""}, kOnA,
               "is on no node");
}

TEST_F(AuthorizerTest, SecondThePodHasTheAccount) {
  const Authorizer two({"cluster.local", {{"sys", "agent"}, {"sys", "b"}}});
  const base::Status status =
      two.Authorize({"sys", "b", "agent-x", "uid-agent-x", ""}, kOnA,
                    pods_.get())
          .status();
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("another ServiceAccount"));
}

TEST_F(AuthorizerTest, ThirdAPodOfTheMeshOnThatNode) {
  const std::string prefix = "spiffe://cluster.local/ns/mesh/sa/";
  ExpectDenied(agent_, prefix + "on-b", "no pod with it on node node-a");
  ExpectDenied(agent_, prefix + "left", "not in the mesh (not opted in)");
  ExpectDenied(agent_, prefix + "host", "not in the mesh (host network)");
  ExpectDenied(agent_, prefix + "done", "not in the mesh (terminal)");
  ExpectDenied(agent_, "spiffe://other.example/ns/mesh/sa/on-a",
               "the trust domain here is cluster.local");
}

TEST_F(AuthorizerTest, WithoutPodsNobodyIsImpersonated) {
  const base::Status status =
      authorizer_.Authorize(agent_, kOnA, nullptr).status();
  EXPECT_TRUE(absl::IsPermissionDenied(status));
}

TEST_F(AuthorizerTest, WhoCannotBeLookedUpIsToTryAgain) {
  class Silent : public PodDirectory {
   public:
    base::StatusOr<Pod> Find(const std::string&,
                             const std::string&) const override {
      ++asked;
      return absl::UnavailableError("not now");
    }
    base::StatusOr<Pod> OnNode(const std::string&,
                               const model::Identity&) const override {
      ++asked;
      return absl::UnavailableError("not now");
    }
    mutable int asked = 0;
  } silent;
  // Nobody has anything looked up who may not ask at all.
  EXPECT_TRUE(absl::IsPermissionDenied(
      authorizer_.Authorize({"sys", "other", "", "", "node-a"}, kOnA, &silent)
          .status()));
  EXPECT_TRUE(authorizer_.Authorize(agent_, "", &silent).ok());
  EXPECT_EQ(silent.asked, 0);
  for (const Caller& caller :
       {agent_, Caller{"sys", "agent", "agent-x", "uid-agent-x", ""}}) {
    EXPECT_TRUE(absl::IsUnavailable(
        authorizer_.Authorize(caller, kOnA, &silent).status()));
  }
  EXPECT_EQ(silent.asked, 2);
}

TEST_F(AuthorizerTest, WhatIsNoNameIsInvalid) {
  for (const char* bad : {"on-a", "spiffe://cluster.local/ns/mesh",
                          "spiffe://cluster.local/ns/mesh/sa/on-a/",
                          "SPIFFE://cluster.local/ns/mesh/sa/on-a"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Ask(agent_, bad).status())) << bad;
  }
}

}  // namespace
}  // namespace nodeward::ca
