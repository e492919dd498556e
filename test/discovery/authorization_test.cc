// SPDX-License-Identifier: Apache-2.0
#include "discovery/authorization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/text.h"
#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

using model::Attribute;
using model::AttributeTest;
using model::AttributeTests;
using model::AuthorizationPolicy;
using Action = model::AuthorizationPolicy::Action;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct AuthorizationRead {
  AuthorizationPolicy policy;
  std::string findings;
  Severity worst;
};

AuthorizationRead ReadWith(const std::string& metadata,
                           const std::string& spec) {
  Document document(base::StrCat(
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n",
      "metadata: ", metadata, "\nspec: ", spec, "\n"));
  auto policy = ReadAuthorizationPolicy(
      document.root(), ReadMetadata(document.root()), "istio-system");
  return {policy, document.Findings(), document.worst()};
}

AuthorizationRead Read(const std::string& spec) {
  return ReadWith("{name: p, namespace: foo}", spec);
}

AttributeTest Want(Attribute attribute, std::vector<std::string> values,
                   std::vector<std::string> not_values = {},
                   std::string name = "") {
  return {attribute, std::move(name), std::move(values), std::move(not_values)};
}

TEST(AuthorizationPolicyTest, ReadsTheDocumentsPolicy) {
  const auto read = ReadWith(
      "{name: httpbin.mtls-test.svc.cluster.local, namespace: mtls-test, "
      "creationTimestamp: '2020-01-01T00:00:00Z'}",
      "{action: DENY, rules: [{from: [{source: {principals: "
      "[cluster.local/ns/full/sa/sleep]}}], to: [{operation: {methods: "
      "[GET]}}]}], selector: {matchLabels: {app: httpbin}}}");
  EXPECT_EQ(read.findings, "");
  EXPECT_EQ(read.policy.QualifiedName(),
            "mtls-test/httpbin.mtls-test.svc.cluster.local");
  EXPECT_EQ(read.policy.created, 1577836800);
  EXPECT_EQ(read.policy.action, Action::kDeny);
  EXPECT_EQ(read.policy.selector, (model::Labels{{"app", "httpbin"}}));
  EXPECT_FALSE(read.policy.mesh_wide);
  ASSERT_EQ(read.policy.rules.size(), 1u);
  EXPECT_THAT(read.policy.rules[0].from,
              ElementsAre(AttributeTests{Want(
                  Attribute::kPrincipal, {"cluster.local/ns/full/sa/sleep"})}));
  EXPECT_THAT(read.policy.rules[0].to,
              ElementsAre(AttributeTests{Want(Attribute::kMethod, {"GET"})}));
  EXPECT_THAT(read.policy.rules[0].when, ElementsAre());
}

TEST(AuthorizationPolicyTest, ReadsEveryField) {
  const auto read = Read(R"({rules: [{
    from: [{source: {principals: [a], notPrincipals: [b],
      requestPrincipals: [c], notRequestPrincipals: [d], namespaces: [e],
      notNamespaces: [f], trustDomains: [g], notTrustDomains: [h],
      ipBlocks: [1.1.1.1], notIpBlocks: [1.0.0.0/8],
      remoteIpBlocks: [2.2.2.2], notRemoteIpBlocks: ['::/0']}},
      {source: {serviceAccounts: [x, y/z], notServiceAccounts: [w]}}],
    to: [{operation: {hosts: [a], notHosts: [b], ports: ['80'],
      notPorts: ['81'], methods: [GET], notMethods: [PUT], paths: [/a],
      notPaths: [/b]}}],
    when: [{key: 'request.headers[X-A]', values: [v], notValues: [w]},
           {key: source.serviceAccount, values: [x]}]}]})");
  EXPECT_EQ(read.findings, "");
  ASSERT_EQ(read.policy.rules.size(), 1u);
  const auto& rule = read.policy.rules[0];
  EXPECT_THAT(
      rule.from,
      ElementsAre(
          AttributeTests{Want(Attribute::kPrincipal, {"a"}, {"b"}),
                         Want(Attribute::kRequestPrincipal, {"c"}, {"d"}),
                         Want(Attribute::kNamespace, {"e"}, {"f"}),
                         Want(Attribute::kTrustDomain, {"g"}, {"h"}),
                         Want(Attribute::kSourceIp, {"1.1.1.1"}, {"1.0.0.0/8"}),
                         Want(Attribute::kRemoteIp, {"2.2.2.2"}, {"::/0"})},
          AttributeTests{
              Want(Attribute::kServiceAccount, {"foo/x", "y/z"}, {"foo/w"})}));
  EXPECT_THAT(rule.to, ElementsAre(AttributeTests{
                           Want(Attribute::kHost, {"a"}, {"b"}),
                           Want(Attribute::kPort, {"80"}, {"81"}),
                           Want(Attribute::kMethod, {"GET"}, {"PUT"}),
                           Want(Attribute::kPath, {"/a"}, {"/b"})}));
  EXPECT_THAT(rule.when,
              ElementsAre(Want(Attribute::kHeader, {"v"}, {"w"}, "x-a"),
                          Want(Attribute::kServiceAccount, {"foo/x"})));
}

TEST(AuthorizationPolicyTest, WhatIsAbsentAndWhatIsEmpty) {
  for (const char* spec : {"null", "{}", "{rules: null}", "{rules: []}",
                           "{action: ALLOW}", "{action: AUDIT}"}) {
    const auto read = Read(spec);
    EXPECT_EQ(read.findings, "") << spec;
    EXPECT_TRUE(read.policy.rules.empty()) << spec;
  }
  // An empty list is an absent one.
  for (const char* rule : {"{}", "{from: []}", "{to: []}", "{when: []}",
                           "{from: null}", "{from: [], to: [], when: []}"}) {
    const auto read = Read(base::StrCat("{action: DENY, rules: [", rule, "]}"));
    EXPECT_EQ(read.findings, "") << rule;
    ASSERT_EQ(read.policy.rules.size(), 1u) << rule;
    EXPECT_EQ(read.policy.rules[0], model::AuthorizationRule()) << rule;
  }
}

// Of a rule, in an ALLOW policy.
TEST(AuthorizationPolicyTest, RefusesRulesAsTheWebhookDoes) {
  const struct {
    const char* rule;
    const char* finding;
  } rows[] = {
      {"null", "/spec/rules/0: `rules` must not hold a nil rule"},
      {"x", "/spec/rules/0: must be an object"},
      {"{form: []}", "/spec/rules/0/form: unknown field"},
      {"{from: {}}", "/spec/rules/0/from: must be a list"},
      {"{from: [{}]}", "`source` cannot be nil"},
      {"{from: [null]}", "`source` cannot be nil"},
      {"{from: [{source: null}]}", "`source` cannot be nil"},
      {"{from: [{source: {}}]}", "`source` must have at least 1 field set"},
      {"{from: [{source: {principals: []}}]}", "at least 1 field set"},
      {"{from: [{source: {principals: ['']}}]}", "empty value not allowed"},
      {"{from: [{source: {notNamespaces: ['']}}]}", "empty value not allowed"},
      {"{from: [{source: {principals: [null]}}]}", "must be a string"},
      {"{from: [{source: {principals: [1]}}]}", "must be a string"},
      {"{from: [{source: {principals: a}}]}", "must be a list"},
      {"{from: [{source: {principal: [a]}}]}", "principal: unknown field"},
      {"{from: [{source: {ipBlocks: [a]}}]}", "bad CIDR"},
      {"{from: [{sauce: {principals: [a]}}]}", "sauce: unknown field"},
      {"{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}",
       "cannot set serviceAccounts with"},
      {"{from: [{source: {serviceAccounts: [a], notPrincipals: [b]}}]}",
       "cannot set serviceAccounts with"},
      {"{from: [{source: {serviceAccounts: [1a,2,3,4,5,6,7,8,9,10,11,12,13,14,"
       "15,16,17]}}]}",
       "must be a string"},
      {"{from: [{source: {serviceAccounts: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]}"
       "}]}",
       "more than 16 values"},
      {"{to: [{}]}", "`operation` cannot be nil"},
      {"{to: [{operation: {}}]}", "`operation` must have at least 1 field set"},
      {"{to: [{operation: {method: [GET]}}]}", "method: unknown field"},
      {"{to: [{operation: {ports: [80]}}]}", "must be a string"},
      {"{to: [{operation: {ports: ['80a']}}]}", "bad port"},
      {"{to: [{operation: {paths: ['/{a}']}}]}", "beyond a supported"},
      {"{to: [{operation: {hosts: ['']}}]}", "empty value not allowed"},
      {"{when: [{}]}", "`key` cannot be empty"},
      {"{when: [null]}", "`key` cannot be empty"},
      {"{when: [{key: source.ip}]}",
       "at least one of `values` or `notValues` must be set for key source.ip"},
      {"{when: [{key: source.ip, values: []}]}", "at least one of"},
      {"{when: [{key: source.ip, values: [x]}]}", "bad CIDR"},
      {"{when: [{key: source.ip, value: [x]}]}", "value: unknown field"},
      {"{when: [{key: foo, values: [x]}]}", "unknown attribute: foo"},
      {"{when: [{key: 'destination.labels[a]', values: [x]}]}",
       "unknown attribute"},
      {"{when: [{key: 'request.headers', values: [x]}]}", "bad key"},
  };
  for (const auto& row : rows) {
    const auto read = Read(base::StrCat("{rules: [", row.rule, "]}"));
    EXPECT_THAT(read.findings, HasSubstr(row.finding)) << row.rule;
    EXPECT_EQ(read.worst, Severity::kFatal) << row.rule;
  }
}

TEST(AuthorizationPolicyTest, RefusesSpecsAsTheWebhookDoes) {
  const struct {
    const char* spec;
    const char* finding;
  } rows[] = {
      {"[a]", "/spec: must be an object"},
      {"{role: x}", "/spec/role: unknown field"},
      {"{action: DENY}", "/spec/rules: DENY action without `rules`"},
      {"{action: DENY, rules: []}", "DENY action without `rules`"},
      {"{action: CUSTOM, provider: {name: x}}", "CUSTOM action without"},
      {"{action: CUSTOM, rules: [{}]}", "`provider.name` must not be empty"},
      {"{action: CUSTOM, rules: [{}], provider: {}}",
       "`provider.name` must not be empty"},
      {"{rules: [{}], provider: {name: x}}",
       "`provider` must not be with non CUSTOM action, found ALLOW"},
      {"{action: deny, rules: [{}]}", "/spec/action: must be ALLOW"},
      {"{action: 1, rules: [{}]}", "/spec/action: must be a string"},
      {"{selector: {matchLabels: {a: '*'}}}", "wildcards are not allowed"},
      {"{selector: {labels: {a: b}}}", "labels: unknown field"},
      {"{selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: "
       "x}]}",
       "only one of targetRefs or workloadSelector"},
      {"{targetRefs: [{kind: Service}]}", "targetRef name must be set"},
      {"{targetRefs: [{kind: Pod, name: x}]}", "is not supported"},
      {"{targetRefs: [{kind: Service, name: x, namespace: y}]}",
       "cross namespace"},
      {"{action: CUSTOM, provider: {name: x}, rules: [{from: [{source: "
       "{namespaces: [a]}}]}]}",
       "namespaces is currently not supported with CUSTOM action"},
      {"{action: CUSTOM, provider: {name: x}, rules: [{from: [{source: "
       "{notPrincipals: [a]}}]}]}",
       "not supported with CUSTOM action"},
      {"{action: CUSTOM, provider: {name: x}, rules: [{when: [{key: "
       "source.principal, values: [a]}]}]}",
       "source.principal is currently not supported with CUSTOM action"},
      {"{action: CUSTOM, provider: {name: x}, rules: [{when: [{key: "
       "'request.auth.claims[a]', values: [a]}]}]}",
       "not supported with CUSTOM action"},
  };
  for (const auto& row : rows) {
    const auto read = Read(row.spec);
    EXPECT_THAT(read.findings, HasSubstr(row.finding)) << row.spec;
    EXPECT_EQ(read.worst, Severity::kFatal) << row.spec;
  }
}

TEST(AuthorizationPolicyTest, Limits) {
  const auto repeated = [](int count, const std::string& item) {
    std::string list;
    for (int i = 0; i < count; ++i) list += (i == 0 ? "" : ", ") + item;
    return "[" + list + "]";
  };
  EXPECT_EQ(Read("{rules: " + repeated(512, "{}") + "}").findings, "");
  EXPECT_THAT(Read("{rules: " + repeated(513, "{}") + "}").findings,
              HasSubstr("more than 512 rules"));
  const std::string source = "{source: {namespaces: [a]}}";
  EXPECT_EQ(Read("{rules: [{from: " + repeated(512, source) + "}]}").findings,
            "");
  EXPECT_THAT(Read("{rules: [{from: " + repeated(513, source) + "}]}").findings,
              HasSubstr("more than 512 sources"));
  EXPECT_THAT(
      Read("{targetRefs: " + repeated(17, "{kind: Service, name: x}") + "}")
          .findings,
      HasSubstr("more than 16 references"));
}

TEST(AuthorizationPolicyTest, AcceptsCustomWithItsFields) {
  const auto read = Read(
      "{action: CUSTOM, provider: {name: ext}, rules: [{from: [{source: "
      "{ipBlocks: [10.0.0.0/8], notRemoteIpBlocks: [10.0.0.1]}}], to: "
      "[{operation: {paths: [/a]}}], when: [{key: 'request.headers[x]', "
      "values: [a]}]}]}");
  EXPECT_EQ(read.findings, "");
  EXPECT_EQ(read.policy.action, Action::kCustom);
  EXPECT_EQ(read.policy.provider, "ext");
}

TEST(AuthorizationPolicyTest, TargetsAndDryRunsAreNoted) {
  for (const char* spec :
       {"{targetRefs: [{kind: Service, name: x}]}",
        "{targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: "
        "x}}",
        "{targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: "
        "x}]}"}) {
    const auto read = Read(spec);
    EXPECT_TRUE(read.policy.targeted) << spec;
    EXPECT_EQ(read.worst, Severity::kNote) << spec;
    EXPECT_THAT(read.findings, HasSubstr("no effect")) << spec;
  }
  for (const char* value : {"true", "True", "1"}) {
    const auto read =
        ReadWith(base::StrCat("{name: p, annotations: {istio.io/dry-run: '",
                              value, "'}}"),
                 "{}");
    EXPECT_TRUE(read.policy.dry_run) << value;
    EXPECT_THAT(read.findings, HasSubstr("dry run")) << value;
  }
  // What is no bool is no dry run: it is enforced.
  for (const char* value : {"false", "yes", ""}) {
    EXPECT_FALSE(
        ReadWith(base::StrCat("{name: p, annotations: {istio.io/dry-run: '",
                              value, "'}}"),
                 "{}")
            .policy.dry_run)
        << value;
  }
  EXPECT_TRUE(
      ReadWith("{name: p, namespace: istio-system}", "{}").policy.mesh_wide);
}

}  // namespace
}  // namespace nodeward::discovery
