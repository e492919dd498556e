// SPDX-License-Identifier: Apache-2.0
#include "policy/rules.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace nodeward::policy {
namespace {

using model::Attribute;
using model::AttributeTest;
using model::AuthorizationPolicy;
using model::AuthorizationRule;
using Action = model::AuthorizationPolicy::Action;

// Who asks, in words of the tables below.
struct Caller {
  std::string principal = "cluster.local/ns/foo/sa/sleep";  // empty: none
  std::string ip = "10.0.0.5";
  uint16_t port = 80;
  std::string sni = {};
  std::string destination = "10.0.1.1";
};
const Caller kSleep;
const Caller kNobody = {.principal = ""};

Connection ConnectionOf(const Caller& caller) {
  Connection connection;
  if (!caller.ip.empty()) {
    connection.source = *base::IpAddress::Parse(caller.ip);
  }
  if (!caller.principal.empty()) {
    connection.peer =
        *model::Identity::ParseSpiffe("spiffe://" + caller.principal);
  }
  connection.port = caller.port;
  connection.sni = caller.sni;
  connection.destination = *base::IpAddress::Parse(caller.destination);
  return connection;
}

Rules Make(Action action, std::vector<AuthorizationRule> rules,
           const TrustDomains& domains = {"cluster.local", {}}) {
  auto policy = std::make_shared<AuthorizationPolicy>();
  policy->name = "p";
  policy->name_space = "foo";
  policy->action = action;
  policy->rules = std::move(rules);
  return Rules(policy, domains);
}

AttributeTest Is(Attribute attribute, std::vector<std::string> values,
                 std::string name = "") {
  return {attribute, std::move(name), std::move(values), {}};
}
AttributeTest IsNot(Attribute attribute, std::vector<std::string> values,
                    std::string name = "") {
  return {attribute, std::move(name), {}, std::move(values)};
}

// Does a DENY rule with this one test in `when` hold?
bool Holds(AttributeTest test, const Caller& caller,
           const HttpRequest* http = nullptr) {
  AuthorizationRule rule;
  rule.when = {std::move(test)};
  Connection connection = ConnectionOf(caller);
  connection.http = http;
  return Make(Action::kDeny, {rule}).FindMatch(Facts(connection)) == 0;
}

TEST(RulesTest, SourceAttributes) {
  const Caller bar = {.principal = "cluster.local/ns/bar/sa/sleep",
                      .ip = "fd00::5"};
  const struct {
    Attribute attribute;
    const char* value;
    bool sleep;
    bool other;
    bool nobody;
  } rows[] = {
      {Attribute::kPrincipal, "cluster.local/ns/foo/sa/sleep", true, false,
       false},
      {Attribute::kPrincipal, "spiffe://cluster.local/ns/foo/sa/sleep", false,
       false, false},
      {Attribute::kPrincipal, "cluster.local/ns/foo/*", true, false, false},
      {Attribute::kPrincipal, "*/sa/sleep", true, true, false},
      {Attribute::kPrincipal, "*", true, true, false},
      {Attribute::kPrincipal, "foreign/ns/foo/sa/sleep", false, false, false},
      {Attribute::kNamespace, "foo", true, false, false},
      {Attribute::kNamespace, "*", true, true, false},
      {Attribute::kNamespace, "b*", false, true, false},
      {Attribute::kServiceAccount, "foo/sleep", true, false, false},
      {Attribute::kServiceAccount, "bar/sleep", false, true, false},
      {Attribute::kTrustDomain, "cluster.local", true, true, false},
      {Attribute::kTrustDomain, "*.local", true, true, false},
      {Attribute::kTrustDomain, "td", false, false, false},
      {Attribute::kSourceIp, "10.0.0.5", true, false, true},
      {Attribute::kSourceIp, "10.0.0.0/24", true, false, true},
      {Attribute::kSourceIp, "10.0.1.0/24", false, false, false},
      {Attribute::kSourceIp, "0.0.0.0/0", true, false, true},
      {Attribute::kSourceIp, "::/0", false, true, false},
      {Attribute::kSourceIp, "fd00::/8", false, true, false},
      {Attribute::kRemoteIp, "10.0.0.0/24", true, false, true},
      {Attribute::kDestinationIp, "10.0.1.1", true, true, true},
      {Attribute::kDestinationIp, "10.0.2.0/24", false, false, false},
      {Attribute::kPort, "80", true, true, true},
      {Attribute::kPort, "8080", false, false, false},
      {Attribute::kEnvoyFilter, "*", false, false, false},
  };
  for (const auto& row : rows) {
    const struct {
      const Caller& caller;
      bool matches;
    } callers[] = {
        {kSleep, row.sleep}, {bar, row.other}, {kNobody, row.nobody}};
    for (const auto& each : callers) {
      EXPECT_EQ(Holds(Is(row.attribute, {row.value}), each.caller),
                each.matches)
          << row.value << " for '" << each.caller.principal << "'";
      // The negation of the list, also of what is absent.
      EXPECT_EQ(Holds(IsNot(row.attribute, {row.value}), each.caller),
                !each.matches)
          << "not " << row.value << " for '" << each.caller.principal << "'";
    }
  }
}

TEST(RulesTest, AnUnknownAddressIsInNoBlock) {
  const Caller unknown = {.ip = ""};
  EXPECT_FALSE(Holds(Is(Attribute::kSourceIp, {"0.0.0.0/0", "::/0"}), unknown));
  EXPECT_TRUE(Holds(IsNot(Attribute::kSourceIp, {"0.0.0.0/0"}), unknown));
}

TEST(RulesTest, Sni) {
  const Caller with = {.sni = "a.example"};
  EXPECT_TRUE(Holds(Is(Attribute::kSni, {"*.example"}), with));
  EXPECT_TRUE(Holds(Is(Attribute::kSni, {"*"}), with));
  EXPECT_FALSE(Holds(Is(Attribute::kSni, {"*"}), kSleep));
  EXPECT_TRUE(Holds(IsNot(Attribute::kSni, {"*"}), kSleep));
}

TEST(RulesTest, ValuesAreOredAndNegationIsOfTheList) {
  EXPECT_TRUE(Holds(Is(Attribute::kNamespace, {"x", "foo"}), kSleep));
  EXPECT_FALSE(Holds(IsNot(Attribute::kNamespace, {"x", "foo"}), kSleep));
  AttributeTest both = Is(Attribute::kNamespace, {"f*"});
  both.not_values = {"foo"};
  EXPECT_FALSE(Holds(both, kSleep));
  EXPECT_TRUE(Holds(both, {.principal = "cluster.local/ns/fu/sa/x"}));
}

TEST(RulesTest, HttpAttributes) {
  const std::vector<HttpHeader> headers = {{"x-a", "1"}, {"empty", ""}};
  const HttpRequest http{"GET", "/info?x=/admin", "Httpbin.foo", headers};
  const struct {
    Attribute attribute;
    const char* value;
    bool matches;
    const char* name = "";
  } rows[] = {
      {Attribute::kMethod, "GET", true},
      {Attribute::kMethod, "get", false},
      {Attribute::kMethod, "G*", true},
      {Attribute::kMethod, "*", true},
      {Attribute::kPath, "/info", true},
      {Attribute::kPath, "/info?x=/admin", false},
      {Attribute::kPath, "*/admin", false},
      {Attribute::kPath, "/inf*", true},
      {Attribute::kPath, "/{*}", true},
      {Attribute::kHost, "httpbin.FOO", true},
      {Attribute::kHost, "httpbin.foo:80", false},
      {Attribute::kHost, "*.foo", true},
      {Attribute::kHeader, "1", true, "x-a"},
      {Attribute::kHeader, "*", true, "x-a"},
      {Attribute::kHeader, "*", true, "empty"},
      {Attribute::kHeader, "*", false, "missing"},
      {Attribute::kHeader, "2", false, "x-a"},
      {Attribute::kRequestPrincipal, "*", false},
      {Attribute::kClaim, "*", false, "iss"},
      {Attribute::kAudience, "*", false},
      {Attribute::kPresenter, "*", false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Holds(Is(row.attribute, {row.value}, row.name), kSleep, &http),
              row.matches)
        << row.value;
    EXPECT_EQ(Holds(IsNot(row.attribute, {row.value}, row.name), kSleep, &http),
              !row.matches)
        << "not " << row.value;
  }
}

// Nobody can tell them of bytes: ALLOW does not hold, the others do not ask.
TEST(RulesTest, HttpAttributesOfBytes) {
  const Connection connection = ConnectionOf(kSleep);
  const Facts facts(connection);
  for (const Attribute attribute :
       {Attribute::kHost, Attribute::kMethod, Attribute::kPath,
        Attribute::kHeader, Attribute::kRequestPrincipal, Attribute::kAudience,
        Attribute::kPresenter, Attribute::kClaim}) {
    for (const bool negated : {false, true}) {
      AuthorizationRule rule;
      rule.to = {
          {negated ? IsNot(attribute, {"x"}, "n") : Is(attribute, {"x"}, "n")}};
      EXPECT_EQ(Make(Action::kAllow, {rule}).FindMatch(facts), -1);
      for (const Action action :
           {Action::kDeny, Action::kCustom, Action::kAudit}) {
        EXPECT_EQ(Make(action, {rule}).FindMatch(facts), 0);
      }
    }
  }
}

// One HTTP attribute anywhere drops all of an ALLOW rule, also its pure L4
// alternative; the other rules stay.
TEST(RulesTest, AnAllowRuleIsDroppedAsAWhole) {
  AuthorizationRule mixed;
  mixed.to = {{Is(Attribute::kPort, {"80"})},
              {Is(Attribute::kMethod, {"GET"})}};
  AuthorizationRule plain;
  plain.to = {{Is(Attribute::kPort, {"80"})}};
  const Connection connection = ConnectionOf(kSleep);
  const Facts facts(connection);
  EXPECT_EQ(Make(Action::kAllow, {mixed}).FindMatch(facts), -1);
  EXPECT_EQ(Make(Action::kAllow, {mixed, plain}).FindMatch(facts), 1);
  // In a DENY rule the alternative that loses its only attribute matches all.
  mixed.to[0] = {Is(Attribute::kPort, {"81"})};
  EXPECT_EQ(Make(Action::kDeny, {mixed}).FindMatch(facts), 0);
  // What is left of an alternative still counts.
  mixed.to = {{Is(Attribute::kPort, {"81"}), Is(Attribute::kMethod, {"GET"})}};
  EXPECT_EQ(Make(Action::kDeny, {mixed}).FindMatch(facts), -1);
  mixed.to = {{Is(Attribute::kPort, {"80"}), Is(Attribute::kMethod, {"GET"})}};
  EXPECT_EQ(Make(Action::kDeny, {mixed}).FindMatch(facts), 0);
  // 1.20 of the documents: principal and method.
  AuthorizationRule documents;
  documents.from = {
      {Is(Attribute::kPrincipal, {"cluster.local/ns/full/sa/sleep"})}};
  documents.to = {{Is(Attribute::kMethod, {"GET"})}};
  const Rules deny = Make(Action::kDeny, {documents});
  EXPECT_EQ(deny.FindMatch(facts), -1);
  const Connection full =
      ConnectionOf({.principal = "cluster.local/ns/full/sa/sleep"});
  EXPECT_EQ(deny.FindMatch(Facts(full)), 0);
}

TEST(RulesTest, ARuleNeedsAllItsParts) {
  AuthorizationRule rule;
  rule.from = {{Is(Attribute::kNamespace, {"x"})},
               {Is(Attribute::kNamespace, {"foo"}),
                Is(Attribute::kSourceIp, {"10.0.0.0/24"})}};
  rule.to = {{Is(Attribute::kPort, {"81"})}, {Is(Attribute::kPort, {"80"})}};
  rule.when = {Is(Attribute::kSni, {"s"}),
               IsNot(Attribute::kDestinationIp, {"10.9.0.0/16"})};
  const Rules rules = Make(Action::kAllow, {rule});
  const auto match = [&](const Caller& caller) {
    const Connection connection = ConnectionOf(caller);
    return rules.FindMatch(Facts(connection));
  };
  EXPECT_EQ(match({.sni = "s"}), 0);
  EXPECT_EQ(match({.sni = "t"}), -1);
  EXPECT_EQ(match({.port = 82, .sni = "s"}), -1);
  EXPECT_EQ(match({.port = 81, .sni = "s"}), 0);
  EXPECT_EQ(match({.ip = "10.0.1.5", .sni = "s"}), -1);
  EXPECT_EQ(match({.principal = "cluster.local/ns/x/sa/y",
                   .ip = "10.0.1.5",
                   .sni = "s"}),
            0);
  EXPECT_EQ(match({.sni = "s", .destination = "10.9.1.1"}), -1);
}

TEST(RulesTest, EmptyRulesMatchAndNoRulesDoNot) {
  const Connection connection = ConnectionOf(kNobody);
  const Facts facts(connection);
  EXPECT_EQ(Make(Action::kAllow, {{}}).FindMatch(facts), 0);
  EXPECT_EQ(Make(Action::kDeny, {{}}).FindMatch(facts), 0);
  EXPECT_EQ(Make(Action::kAllow, {}).FindMatch(facts), -1);
  EXPECT_EQ(Make(Action::kDeny, {}).FindMatch(facts), -1);
}

TEST(RulesTest, PrincipalsAreSpeltWithEveryTrustDomain) {
  AuthorizationRule rule;
  rule.from = {{Is(Attribute::kPrincipal, {"old-td/ns/foo/sa/sleep"})}};
  const Rules rules =
      Make(Action::kAllow, {rule}, TrustDomains("td", {"old-td"}));
  const auto match = [&](const char* principal) {
    const Connection connection = ConnectionOf({.principal = principal});
    return rules.FindMatch(Facts(connection));
  };
  EXPECT_EQ(match("td/ns/foo/sa/sleep"), 0);
  EXPECT_EQ(match("old-td/ns/foo/sa/sleep"), 0);
  EXPECT_EQ(match("other/ns/foo/sa/sleep"), -1);
}

TEST(RulesTest, OfHttpToComeTheBestIsHoped) {
  const auto finds = [](Action action, AuthorizationRule rule) {
    Connection connection = ConnectionOf(kSleep);
    connection.http_to_come = true;
    return Make(action, {std::move(rule)}).FindMatch(Facts(connection)) >= 0;
  };
  const AuthorizationRule get = {{}, {{Is(Attribute::kMethod, {"GET"})}}, {}};
  EXPECT_TRUE(finds(Action::kAllow, get));
  EXPECT_FALSE(finds(Action::kDeny, get));
  // What no request can change stands.
  AuthorizationRule other = get;
  other.from = {{Is(Attribute::kNamespace, {"bar"})}};
  EXPECT_FALSE(finds(Action::kAllow, other));
  AuthorizationRule port = get;
  port.to.push_back({Is(Attribute::kPort, {"80"})});
  EXPECT_TRUE(finds(Action::kDeny, port));
  EXPECT_FALSE(finds(Action::kDeny,
                     {{}, {}, {IsNot(Attribute::kRequestPrincipal, {"*"})}}));
}

TEST(RulesTest, KnowsForWhichPortsItAsksForHttp) {
  const auto asks = [](AuthorizationRule rule, uint16_t port) {
    return Make(Action::kDeny, {std::move(rule)}).AsksForHttp(port);
  };
  const AttributeTest get = Is(Attribute::kMethod, {"GET"});
  const AttributeTest is80 = Is(Attribute::kPort, {"80"});
  const AttributeTest not80 = IsNot(Attribute::kPort, {"80"});
  EXPECT_TRUE(asks({{}, {{get}}, {}}, 81));
  EXPECT_TRUE(asks({{}, {{get, is80}}, {}}, 80));
  EXPECT_FALSE(asks({{}, {{get, is80}}, {}}, 81));
  EXPECT_FALSE(asks({{}, {{get, not80}}, {}}, 80));
  EXPECT_TRUE(asks({{}, {{get, is80}, {get}}, {}}, 81));
  EXPECT_FALSE(asks({{}, {{get}}, {is80}}, 81));
  EXPECT_TRUE(asks({{}, {}, {get}}, 81));
  EXPECT_FALSE(asks({{}, {{is80}}, {}}, 80));
}

}  // namespace
}  // namespace nodeward::policy
