// SPDX-License-Identifier: Apache-2.0
#include "discovery/attribute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nodeward::discovery {
namespace {

using model::Attribute;
using ::testing::HasSubstr;

TEST(ConditionKeyTest, KnowsEveryKey) {
  const struct {
    const char* key;
    Attribute attribute;
    const char* name;
  } rows[] = {
      {"source.ip", Attribute::kSourceIp, ""},
      {"remote.ip", Attribute::kRemoteIp, ""},
      {"source.namespace", Attribute::kNamespace, ""},
      {"source.serviceAccount", Attribute::kServiceAccount, ""},
      {"source.trustDomain", Attribute::kTrustDomain, ""},
      {"source.principal", Attribute::kPrincipal, ""},
      {"request.auth.principal", Attribute::kRequestPrincipal, ""},
      {"request.auth.audiences", Attribute::kAudience, ""},
      {"request.auth.presenter", Attribute::kPresenter, ""},
      {"destination.ip", Attribute::kDestinationIp, ""},
      {"destination.port", Attribute::kPort, ""},
      {"connection.sni", Attribute::kSni, ""},
      {"request.headers[User-Agent]", Attribute::kHeader, "user-agent"},
      {"request.headers[:method]", Attribute::kHeader, ":method"},
      {"request.auth.claims[iss]", Attribute::kClaim, "iss"},
      {"request.auth.claims[a][b]", Attribute::kClaim, "a][b"},
      {"experimental.envoy.filters.a.b[c]", Attribute::kEnvoyFilter, "c"},
  };
  for (const auto& row : rows) {
    const ConditionKey key = ReadConditionKey(row.key);
    EXPECT_EQ(key.flaw, "") << row.key;
    EXPECT_EQ(key.attribute, row.attribute) << row.key;
    EXPECT_EQ(key.name, row.name) << row.key;
  }
}

TEST(ConditionKeyTest, RefusesOthers) {
  for (const char* key :
       {"", "source", "source.ips", "Source.ip", "destination.labels[app]",
        "destination.namespace", "destination.name", "destination.user",
        "request.method", "request.headerz[a]", "request.auth", "x[y]"}) {
    EXPECT_THAT(ReadConditionKey(key).flaw, HasSubstr("unknown attribute"))
        << key;
  }
  for (const char* key :
       {"request.headers", "request.headers[", "request.headers[]",
        "request.headers[a", "request.headers.a", "request.headersx[a]",
        "request.auth.claims", "experimental.envoy.filters.a"}) {
    EXPECT_THAT(ReadConditionKey(key).flaw, HasSubstr("bad key")) << key;
  }
}

TEST(ValueFlawTest, ChecksEachKindOfValue) {
  const struct {
    Attribute attribute;
    const char* value;
    const char* flaw;  // empty: none
  } rows[] = {
      {Attribute::kPrincipal, "", "empty value"},
      {Attribute::kPrincipal, "anything*goes", ""},
      {Attribute::kHeader, "", "empty value"},
      {Attribute::kSourceIp, "10.0.0.1", ""},
      {Attribute::kSourceIp, "10.0.0.1/8", ""},
      {Attribute::kSourceIp, "fd00::/8", ""},
      {Attribute::kSourceIp, "10.0.0.0/33", "bad CIDR"},
      {Attribute::kSourceIp, "10.0.0.0/-1", "bad CIDR"},
      {Attribute::kSourceIp, "10.0.0.0/ 8", "bad CIDR"},
      {Attribute::kSourceIp, "10.0.0.0/", "bad CIDR"},
      {Attribute::kSourceIp, "10.0.0", "bad CIDR"},
      {Attribute::kSourceIp, "*", "bad CIDR"},
      {Attribute::kRemoteIp, "host", "bad CIDR"},
      {Attribute::kDestinationIp, "host", "bad CIDR"},
      {Attribute::kPort, "0", ""},
      {Attribute::kPort, "65535", ""},
      {Attribute::kPort, "0080", ""},
      {Attribute::kPort, "65536", "bad port"},
      {Attribute::kPort, "99999999999999999999", "bad port"},
      {Attribute::kPort, "-1", "bad port"},
      {Attribute::kPort, "+80", "bad port"},
      {Attribute::kPort, " 80", "bad port"},
      {Attribute::kPort, "80*", "bad port"},
      {Attribute::kPort, "http", "bad port"},
      {Attribute::kServiceAccount, "sleep", ""},
      {Attribute::kServiceAccount, "full/sleep", ""},
      {Attribute::kServiceAccount, "full/*", "wildcards"},
      {Attribute::kServiceAccount, "/sleep", "bad service account"},
      {Attribute::kServiceAccount, "full/", "bad service account"},
      {Attribute::kServiceAccount, "a/b/c", "bad service account"},
      {Attribute::kTrustDomain, "td", ""},
      {Attribute::kTrustDomain, "*", ""},
      {Attribute::kTrustDomain, "*-td", ""},
      {Attribute::kTrustDomain, "td-*", ""},
      {Attribute::kTrustDomain, "t*d", "at an end only"},
      {Attribute::kTrustDomain, "*td*", "one end only"},
      {Attribute::kTrustDomain, "td/ns", "'/' is not allowed"},
  };
  for (const auto& row : rows) {
    const std::string flaw = ValueFlaw(row.attribute, row.value);
    if (*row.flaw == '\0') {
      EXPECT_EQ(flaw, "") << row.value;
    } else {
      EXPECT_THAT(flaw, HasSubstr(row.flaw)) << row.value;
    }
  }
  const std::string nul("10.0.0.1\0x", 10);
  EXPECT_NE(ValueFlaw(Attribute::kSourceIp, nul), "");
  EXPECT_NE(ValueFlaw(Attribute::kServiceAccount, std::string(321, 'a')), "");
}

TEST(ValueFlawTest, PathTemplates) {
  for (const char* path :
       {"/a", "*", "/a*", "*/a", "/{*}", "/{**}", "{*}", "/a/{*}/b/{**}",
        "/a/{*}/{*}/c", "/{*}/{**}/x", "/a/{**}/", "/%20-._~!$&'()+,;:@=/{*}",
        "/a*b", "//", "/"}) {
    EXPECT_EQ(ValueFlaw(Attribute::kPath, path), "") << path;
  }
  const struct {
    const char* path;
    const char* flaw;
  } rows[] = {
      {"/{**}/{*}", "not the last operator"},
      {"/{**}/{**}", "not the last operator"},
      {"/{a}", "beyond a supported path template"},
      {"/{*", "beyond a supported path template"},
      {"/a}", "beyond a supported path template"},
      {"/a{*}", "beyond a supported path template"},
      {"/{*}.txt", "beyond a supported path template"},
      {"/{***}", "beyond a supported path template"},
      {"/{*}/a*", "invalid string literal"},
      {"/{*}/*", "invalid string literal"},
      {"/{*}//a", "invalid string literal"},
      {"/{*}/a b", "invalid string literal"},
      {"/{*}/\"", "invalid string literal"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(ValueFlaw(Attribute::kPath, row.path), HasSubstr(row.flaw))
        << row.path;
  }
}

}  // namespace
}  // namespace nodeward::discovery
