// SPDX-License-Identifier: Apache-2.0
#include "policy/request.h"

#include <gtest/gtest.h>

#include <vector>

namespace nodeward::policy {
namespace {

using model::Attribute;

std::string Value(const Facts& facts, Attribute attribute,
                  std::string_view name = "") {
  const std::string_view* const text = facts.Text(attribute, name);
  return text == nullptr ? "(absent)" : std::string(*text);
}

TEST(FactsTest, OfAPeer) {
  const Connection connection{base::IpAddress(),
                              model::Identity{"td", "foo", "sleep"}, 80};
  const Facts facts(connection);
  EXPECT_FALSE(facts.is_http());
  EXPECT_EQ(Value(facts, Attribute::kPrincipal), "td/ns/foo/sa/sleep");
  EXPECT_EQ(Value(facts, Attribute::kNamespace), "foo");
  EXPECT_EQ(Value(facts, Attribute::kServiceAccount), "foo/sleep");
  EXPECT_EQ(Value(facts, Attribute::kTrustDomain), "td");
}

TEST(FactsTest, OfPlaintextBytes) {
  const Connection connection{base::IpAddress(), std::nullopt, 80};
  const Facts facts(connection);
  for (const Attribute attribute :
       {Attribute::kPrincipal, Attribute::kNamespace,
        Attribute::kServiceAccount, Attribute::kTrustDomain,
        Attribute::kEnvoyFilter, Attribute::kHost, Attribute::kMethod,
        Attribute::kPath, Attribute::kHeader, Attribute::kRequestPrincipal,
        Attribute::kAudience, Attribute::kPresenter, Attribute::kClaim}) {
    EXPECT_EQ(Value(facts, attribute, "x"), "(absent)");
  }
  EXPECT_EQ(Value(facts, Attribute::kSni), "");
}

TEST(FactsTest, OfAnHttpRequest) {
  const std::vector<HttpHeader> headers = {
      {"x-a", "1"}, {"x-b", ""}, {"x-a", "2"}, {"x-a", "3"}};
  const HttpRequest http{"GET", "/a/b?c=d", "Example.com:80", headers};
  Connection connection{base::IpAddress(), std::nullopt, 80};
  connection.http = &http;
  connection.sni = "sni.example";
  const Facts facts(connection);
  EXPECT_TRUE(facts.is_http());
  EXPECT_EQ(Value(facts, Attribute::kHost), "example.com:80");
  EXPECT_EQ(Value(facts, Attribute::kMethod), "GET");
  EXPECT_EQ(Value(facts, Attribute::kPath), "/a/b");
  EXPECT_EQ(Value(facts, Attribute::kSni), "sni.example");
  EXPECT_EQ(Value(facts, Attribute::kHeader, "x-a"), "1,2,3");
  EXPECT_EQ(Value(facts, Attribute::kHeader, "x-b"), "");
  EXPECT_EQ(Value(facts, Attribute::kHeader, "x-c"), "(absent)");
  EXPECT_EQ(Value(facts, Attribute::kHeader, ":authority"), "Example.com:80");
  EXPECT_EQ(Value(facts, Attribute::kHeader, "host"), "Example.com:80");
  EXPECT_EQ(Value(facts, Attribute::kHeader, ":method"), "GET");
  EXPECT_EQ(Value(facts, Attribute::kHeader, ":path"), "/a/b?c=d");
  // Nobody verifies tokens.
  EXPECT_EQ(Value(facts, Attribute::kRequestPrincipal), "(absent)");
  EXPECT_EQ(Value(facts, Attribute::kClaim, "iss"), "(absent)");
}

}  // namespace
}  // namespace nodeward::policy
