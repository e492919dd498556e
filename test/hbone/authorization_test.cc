// SPDX-License-Identifier: Apache-2.0
//
// AuthorizationPolicy on both ways in: asked before the application is dialled,
// and again of what is open when it changes.
#include <poll.h>

#include "hbone/engine_fixture.h"

namespace nodeward::hbone {
namespace {

using model::Attribute;
using model::AuthorizationPolicy;
using observe::Outcome;
using Action = model::AuthorizationPolicy::Action;

class AuthorizationTest : public EngineTest {
 protected:
  void Begin() {
    client = MakePod("client");
    other = MakePod("other");
    server = MakePod("server");
    Publish();
    Enrol(a(), client);
    Enrol(a(), other);
    Enrol(b(), server);
    app = std::make_unique<Server>(ApplicationOf(At(server)), Echo);
  }

  // One policy for the server with one rule: one of `values` in `from`.
  void Apply(Action action, Attribute attribute,
             std::vector<std::string> values) {
    auto policy = std::make_shared<AuthorizationPolicy>();
    policy->name = "p";
    policy->name_space = "full";
    policy->selector = {{"app", "server"}};
    policy->action = action;
    policy->rules.resize(1);
    policy->rules[0].from = {{{attribute, "", std::move(values), {}}}};
    authorization = {policy};
    Publish();
  }

  static bool Answers(Tcp& tcp) {
    return tcp.Send("x") && tcp.Receive(1) == "x";
  }
  Tcp Plain() {
    return Tcp(
        ConnectFrom({*base::IpAddress::Parse("127.8.8.8"), 0}, At(server)));
  }

  TestPod client;
  TestPod other;
  TestPod server;
  std::unique_ptr<Server> app;
};

constexpr const char* kClient = "cluster.local/ns/full/sa/client";

TEST_F(AuthorizationTest, DecidesBeforeTheApplicationIsDialled) {
  Begin();
  Apply(Action::kDeny, Attribute::kPrincipal, {kClient});
  const int before = server.network->dialled.load();
  Tcp denied = Connect(client, At(server));
  EXPECT_EQ(denied.AwaitEnd(), Ending::kReset);
  EXPECT_EQ(server.network->dialled.load(), before);
  const auto flow = b().flows.AwaitClosed(Outcome::kDeniedPolicy);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->policy, "full/p");
  EXPECT_EQ(flow->detail, "denied by DENY AuthorizationPolicy full/p rule 0");
  // The client's side knows that it was refused, too.
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kTunnelRefused).has_value());
  Tcp allowed = Connect(other, At(server));
  EXPECT_TRUE(Answers(allowed));
}

TEST_F(AuthorizationTest, AllowsOnlyWhatItNames) {
  Begin();
  Apply(Action::kAllow, Attribute::kPrincipal, {kClient});
  Tcp allowed = Connect(client, At(server));
  EXPECT_TRUE(Answers(allowed));
  allowed.Finish();
  EXPECT_EQ(allowed.AwaitEnd(), Ending::kFin);
  const auto flow = b().flows.AwaitClosed(Outcome::kClosed);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->policy, "full/p");
  Tcp denied = Connect(other, At(server));
  EXPECT_EQ(denied.AwaitEnd(), Ending::kReset);
}

TEST_F(AuthorizationTest, PlaintextHasNoIdentityButAnAddress) {
  Begin();
  Apply(Action::kAllow, Attribute::kPrincipal, {"*"});
  const int before = server.network->dialled.load();
  Tcp denied = Plain();
  denied.Send("x");
  EXPECT_EQ(denied.AwaitEnd(), Ending::kReset);
  EXPECT_EQ(server.network->dialled.load(), before);
  const auto flow = b().flows.AwaitClosed(Outcome::kDeniedPolicy);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->policy, "full/p");
  Apply(Action::kAllow, Attribute::kSourceIp, {"127.8.0.0/16"});
  Tcp allowed = Plain();
  EXPECT_TRUE(Answers(allowed));
  Apply(Action::kDeny, Attribute::kSourceIp, {"127.8.8.8"});
  EXPECT_EQ(allowed.AwaitEnd(), Ending::kReset);
}

TEST_F(AuthorizationTest, AChangeClosesWhatItForbidsAndSparesTheRest) {
  Begin();
  Tcp closed = Connect(client, At(server));
  Tcp spared = Connect(other, At(server));
  Tcp plain = Plain();
  EXPECT_TRUE(Answers(closed));
  EXPECT_TRUE(Answers(spared));
  EXPECT_TRUE(Answers(plain));
  Apply(Action::kDeny, Attribute::kPrincipal, {kClient});
  EXPECT_EQ(closed.AwaitEnd(), Ending::kReset);
  const auto flow = b().flows.AwaitClosed(Outcome::kPolicyChanged);
  ASSERT_TRUE(flow.has_value());
  EXPECT_EQ(flow->policy, "full/p");
  // Both sides count it.
  EXPECT_TRUE(a().flows.AwaitClosed(Outcome::kReset).has_value());
  EXPECT_TRUE(Answers(spared));
  EXPECT_TRUE(Answers(plain));
  authorization.clear();
  Publish();
  Tcp again = Connect(client, At(server));
  EXPECT_TRUE(Answers(again));
}

TEST_F(AuthorizationTest, WhatIsSilentIsJudgedAnewToo) {
  Begin();
  // Admitted, but nothing was said: what it is has not been found out yet.
  options.sniff_wait = absl::Hours(1);
  Tcp plain = Plain();
  Apply(Action::kDeny, Attribute::kSourceIp, {"127.8.8.8"});
  plain.Send("x");
  EXPECT_EQ(plain.AwaitEnd(), Ending::kReset);
  EXPECT_TRUE(b().flows.AwaitClosed(Outcome::kDeniedPolicy).has_value());
}

}  // namespace
}  // namespace nodeward::hbone
