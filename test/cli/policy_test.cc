// SPDX-License-Identifier: Apache-2.0
//
// The whole of `policy test` and `policy lint` on manifests: a table of what
// Istio decides, in its users' YAML.
#include "cli/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/fake_environment_fixture.h"
#include "cli/main.h"

namespace nodeward::cli {
namespace {

using base::GetMember;
using base::GetString;
using base::Json;
using base::StrCat;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kPods = R"(
apiVersion: v1
kind: Namespace
metadata: {name: foo, labels: {nodeward.io/mesh: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: httpbin, namespace: foo, labels: {app: httpbin, version: v1}}
spec:
  nodeName: n
  containers: [{name: c, ports: [{containerPort: 80, name: http}]}]
status: {podIP: 10.0.1.1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: foo}
spec:
  clusterIP: 10.96.0.1
  selector: {app: httpbin}
  ports: [{name: http, port: 8000, targetPort: 80}]
---
apiVersion: v1
kind: Pod
metadata: {name: legacy, namespace: bar}
status: {podIP: 10.0.1.2}
)";

class PolicyCommandTest : public ::testing::Test {
 protected:
  PolicyCommandTest() {
    std::string name = ::testing::TempDir() + "nodeward-policy-XXXXXX";
    folder_ = mkdtemp(name.data());
    Write("pods.yaml", kPods);
  }
  ~PolicyCommandTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  // An AuthorizationPolicy foo/p.
  void Policy(const std::string& spec) {
    Write("p.yaml", Authorization("p", "foo", spec));
  }
  static std::string Authorization(const std::string& name,
                                   const std::string& ns,
                                   const std::string& spec,
                                   const std::string& annotations = "{}") {
    return StrCat("---\napiVersion: security.istio.io/v1\n",
                  "kind: AuthorizationPolicy\nmetadata: {name: ", name,
                  ", namespace: ", ns, ", annotations: ", annotations,
                  "}\nspec: ", spec, "\n");
  }
  static std::string Authentication(const std::string& name,
                                    const std::string& ns,
                                    const std::string& spec,
                                    const std::string& created = "null") {
    return StrCat("---\napiVersion: security.istio.io/v1\n",
                  "kind: PeerAuthentication\nmetadata: {name: ", name,
                  ", namespace: ", ns, ", creationTimestamp: ", created,
                  "}\nspec: ", spec, "\n");
  }
  int Nodeward(FakeEnvironment& fake, std::vector<std::string> arguments) {
    return cli::Run(fake.environment(), arguments);
  }
  // The answers to a batch, by line.
  std::vector<Json> Batch(const std::string& lines,
                          std::vector<std::string> flags = {},
                          int expected = kOk) {
    const std::string file = Write("batch.jsonl", lines);
    std::vector<std::string> arguments = {"policy", "test",    "--manifests",
                                          folder_,  "--batch", file};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    FakeEnvironment fake;
    EXPECT_EQ(Nodeward(fake, arguments), expected) << fake.err();
    std::istringstream out(fake.out());
    std::vector<Json> answers;
    for (std::string line; std::getline(out, line);) {
      const auto json = base::ParseJson(line);
      EXPECT_TRUE(json.ok()) << line;
      answers.push_back(*json);
    }
    return answers;
  }
  Json One(const std::string& question, std::vector<std::string> flags = {}) {
    const auto answers = Batch(question + "\n", std::move(flags));
    EXPECT_EQ(answers.size(), 1u);
    return answers.empty() ? Json() : answers[0];
  }
  // ALLOW or DENY for a question with these members besides `to`.
  std::string Ask(const std::string& members,
                  std::vector<std::string> flags = {}) {
    return GetString(One(StrCat(R"({"to": "foo/httpbin", )", members, "}"),
                         std::move(flags)),
                     "verdict");
  }
  std::string folder_;
};

constexpr const char* kSleep = R"("from": "cluster.local/ns/full/sa/sleep")";

// One policy, one request each.
TEST_F(PolicyCommandTest, WhatIstioDecides) {
  const struct {
    const char* spec;
    const char* question;  // besides "from": full/sleep and "to"
    const char* verdict;
  } rows[] = {
      // The document's own.
      {"{action: DENY, selector: {matchLabels: {app: httpbin}}, rules: [{from: "
       "[{source: {principals: [cluster.local/ns/full/sa/sleep]}}], to: "
       "[{operation: {methods: [GET]}}]}]}",
       R"("method": "GET", "path": "/headers")", "DENY"},
      {"{action: DENY, rules: [{from: [{source: {principals: "
       "[cluster.local/ns/full/sa/sleep]}}], to: [{operation: {methods: "
       "[GET]}}]}]}",
       R"("method": "POST")", "ALLOW"},
      {"{action: DENY, rules: [{from: [{source: {principals: "
       "[cluster.local/ns/full/sa/sleep]}}], to: [{operation: {methods: "
       "[GET]}}]}]}",
       R"("protocol": "tcp")", "DENY"},
      {"{}", R"("method": "GET")", "DENY"},
      {"{rules: [{}]}", R"("method": "GET")", "ALLOW"},
      {"{rules: [{to: [{operation: {methods: [GET]}}]}]}", R"("method": "GET")",
       "ALLOW"},
      {"{rules: [{to: [{operation: {methods: [GET]}}]}]}",
       R"("protocol": "tcp")", "DENY"},
      {"{rules: [{to: [{operation: {ports: ['80']}}, {operation: {methods: "
       "[GET]}}]}]}",
       R"("protocol": "tcp", "port": 80)", "DENY"},
      {"{rules: [{to: [{operation: {ports: ['80']}}]}]}",
       R"("protocol": "tcp", "port": 80)", "ALLOW"},
      {"{rules: [{to: [{operation: {ports: ['80']}}]}]}",
       R"("protocol": "tcp", "port": 81)", "DENY"},
      // The pod's first port where none is told.
      {"{rules: [{to: [{operation: {ports: ['80']}}]}]}",
       R"("protocol": "tcp")", "ALLOW"},
      {"{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}",
       R"("path": "/%61dmin")", "DENY"},
      {"{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}",
       R"("path": "/%2561dmin")", "ALLOW"},
      {"{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}",
       R"("path": "/x/../admin?q=1")", "DENY"},
      {"{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}",
       R"("path": "//admin")", "ALLOW"},
      {"{rules: [{}]}", R"("path": "/a%00")", "DENY"},
      {"{rules: [{to: [{operation: {paths: ['/allow/admin/{**}']}}]}]}",
       R"("path": "/allow/admin/x")", "ALLOW"},
      {"{rules: [{to: [{operation: {paths: ['/allow/admin/{**}']}}]}]}",
       R"("path": "/allow/admin")", "DENY"},
      {"{rules: [{to: [{operation: {hosts: [HTTPBIN.foo]}}]}]}",
       R"("host": "httpbin.FOO")", "ALLOW"},
      {"{rules: [{to: [{operation: {hosts: [httpbin.foo]}}]}]}",
       R"("host": "httpbin.foo:8000")", "DENY"},
      {"{rules: [{to: [{operation: {hosts: ['*']}}]}]}", R"("path": "/")",
       "ALLOW"},
      {"{rules: [{when: [{key: 'request.headers[X-Token]', values: "
       "[admin]}]}]}",
       R"("headers": {"x-token": "admin"})", "ALLOW"},
      {"{rules: [{when: [{key: 'request.headers[X-Token]', values: ['*']}]}]}",
       R"("headers": {"X-TOKEN": ""})", "ALLOW"},
      {"{rules: [{when: [{key: 'request.headers[X-Token]', values: ['*']}]}]}",
       R"("headers": {})", "DENY"},
      {"{rules: [{when: [{key: 'request.headers[X]', notValues: [a]}]}]}",
       R"("headers": {})", "ALLOW"},
      {"{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}",
       R"("path": "/")", "DENY"},
      {"{rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}",
       R"("path": "/")", "ALLOW"},
      {"{rules: [{from: [{source: {ipBlocks: [10.0.0.0/24]}}]}]}",
       R"("fromIp": "10.0.0.9")", "ALLOW"},
      {"{rules: [{from: [{source: {remoteIpBlocks: [10.0.0.0/24]}}]}]}",
       R"("fromIp": "10.0.1.9")", "DENY"},
      {"{rules: [{when: [{key: destination.ip, values: [10.0.1.1]}]}]}",
       R"("fromIp": "10.0.0.9")", "ALLOW"},
      {"{rules: [{when: [{key: connection.sni, values: ['*.example']}]}]}",
       R"("sni": "a.example")", "ALLOW"},
      {"{rules: [{from: [{source: {serviceAccounts: [full/sleep]}}]}]}",
       R"("path": "/")", "ALLOW"},
      {"{rules: [{from: [{source: {serviceAccounts: [sleep]}}]}]}",
       R"("path": "/")", "DENY"},
      {"{selector: {matchLabels: {app: other}}}", R"("path": "/")", "ALLOW"},
      {"{action: CUSTOM, provider: {name: e}, rules: [{to: [{operation: "
       "{paths: [/admin]}}]}]}",
       R"("path": "/admin")", "DENY"},
      {"{action: CUSTOM, provider: {name: e}, rules: [{to: [{operation: "
       "{paths: [/admin]}}]}]}",
       R"("path": "/")", "ALLOW"},
      {"{action: AUDIT, rules: [{}]}", R"("path": "/")", "ALLOW"},
      {"{action: DENY}", R"("path": "/")", "DENY"},  // broken: closed
      {"{targetRefs: [{kind: Service, name: web}], action: DENY, rules: [{}]}",
       R"("path": "/")", "ALLOW"},
  };
  for (const auto& row : rows) {
    Policy(row.spec);
    EXPECT_EQ(Ask(StrCat(kSleep, ", ", row.question)), row.verdict)
        << row.spec << " for " << row.question;
  }
}

TEST_F(PolicyCommandTest, ABatchAnswersLineByLineAsDocumented) {
  Write("more.yaml",
        Authentication("strict", "foo", "{mtls: {mode: STRICT}}") +
            Authorization("deny", "foo",
                          "{action: DENY, rules: [{from: [{source: "
                          "{namespaces: [x]}}]}, {from: [{source: {namespaces: "
                          "[full]}}]}]}"));
  const auto answers = Batch(
      R"({"id": "a", "from": "none", "to": "foo/httpbin", "port": 80})"
      "\n\n"
      R"({"id": 2, "from": "cluster.local/ns/full/sa/sleep", "to": "foo/httpbin", "port": 80, "protocol": "tcp"})"
      "\n"
      R"({"from": "cluster.local/ns/other/sa/sleep", "to": "foo/httpbin"})"
      "\n");
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].dump(),
            R"({"id":"a","verdict":"DENY","layer":"authn","policy":)"
            R"("foo/strict","rule":null,"mtls":"STRICT","ignored":[]})");
  EXPECT_EQ(answers[1].dump(),
            R"({"id":2,"verdict":"DENY","layer":"authz","policy":"foo/deny",)"
            R"("rule":1,"mtls":"STRICT","ignored":[]})");
  EXPECT_EQ(answers[2].dump(),
            R"({"verdict":"ALLOW","layer":"authz","policy":null,"rule":null,)"
            R"("mtls":"STRICT","ignored":[]})");
}

TEST_F(PolicyCommandTest, ALineWithoutAnAnswerSaysWhyAndTheOthersAreAnswered) {
  const auto answers = Batch(
      "{\n"
      R"({"id": 1, "from": "x", "to": "foo/httpbin"})"
      "\n"
      R"({"id": 2, "from": "none", "to": "foo/nobody"})"
      "\n"
      R"({"id": 3, "from": "none", "to": "foo/httpbin"})"
      "\n",
      {}, kProblem);
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_NE(GetString(answers[0], "error"), "");
  EXPECT_THAT(GetString(answers[1], "error"), HasSubstr("from must be"));
  EXPECT_EQ(base::GetInt(answers[1], "id"), 1);
  EXPECT_THAT(GetString(answers[2], "error"), HasSubstr("foo/nobody"));
  EXPECT_EQ(GetString(answers[3], "verdict"), "ALLOW");
}

// Modes by scope, and what each lets in.
TEST_F(PolicyCommandTest, PeerAuthenticationScopes) {
  const std::string none = R"("from": "none", "port": 80)";
  const auto mode = [&] {
    return GetString(One(StrCat(R"({"to": "foo/httpbin", )", none, "}")),
                     "mtls");
  };
  const std::string mesh =
      Authentication("mesh", "istio-system", "{mtls: {mode: STRICT}}");
  const std::string wide =
      Authentication("ns", "foo", "{mtls: {mode: DISABLE}}");
  const std::string selector = "selector: {matchLabels: {app: httpbin}}";
  EXPECT_EQ(mode(), "PERMISSIVE");
  Write("pa.yaml", mesh);
  EXPECT_EQ(mode(), "STRICT");
  EXPECT_EQ(Ask(none), "DENY");
  EXPECT_EQ(Ask(none, {"--root-namespace", "root"}), "ALLOW");
  Write("pa.yaml", mesh + wide);
  EXPECT_EQ(mode(), "DISABLE");
  EXPECT_EQ(Ask(none), "ALLOW");
  Write("pa.yaml",
        mesh + wide +
            Authentication("w", "foo",
                           StrCat("{", selector,
                                  ", mtls: {mode: STRICT}, "
                                  "portLevelMtls: {80: {mode: PERMISSIVE}, "
                                  "81: {mode: UNSET}}}")));
  EXPECT_EQ(mode(), "PERMISSIVE");
  EXPECT_EQ(Ask(R"("from": "none", "port": 81)"), "DENY");
  EXPECT_EQ(Ask(R"("from": "none", "port": 82)"), "DENY");
  // The oldest counts, though it says nothing.
  Write("pa.yaml",
        Authentication("a", "foo", "{mtls: {mode: STRICT}}",
                       "'2022-01-01T00:00:00Z'") +
            Authentication("b", "foo", "{}", "'2021-01-01T00:00:00Z'"));
  EXPECT_EQ(mode(), "PERMISSIVE");
  const Json answer = One(StrCat(R"({"to": "foo/httpbin", )", none, "}"));
  EXPECT_THAT(GetMember(answer, "ignored").dump(),
              AllOf(HasSubstr("foo/a"), HasSubstr("oldest counts: foo/b")));
}

TEST_F(PolicyCommandTest, UnderDisableNobodyHasAnIdentity) {
  Write("pa.yaml", Authentication("ns", "foo", "{mtls: {mode: DISABLE}}"));
  Policy("{rules: [{from: [{source: {principals: ['*']}}]}]}");
  EXPECT_EQ(Ask(StrCat(kSleep, R"(, "path": "/")")), "DENY");
}

TEST_F(PolicyCommandTest, TrustDomains) {
  Policy(
      "{rules: [{from: [{source: {principals: [old/ns/a/sa/b, "
      "cluster.local/ns/c/sa/d]}}]}]}");
  const std::vector<std::string> flags = {"--trust-domain",       "td",
                                          "--trust-domain-alias", "old",
                                          "--trust-domain-alias", "older"};
  for (const char* from :
       {"td/ns/a/sa/b", "old/ns/a/sa/b", "older/ns/c/sa/d"}) {
    EXPECT_EQ(Ask(StrCat(R"("from": ")", from, "\""), flags), "ALLOW") << from;
  }
  EXPECT_EQ(Ask(R"("from": "td/ns/x/sa/b")", flags), "DENY");
  // Refused at the handshake.
  const Json foreign =
      One(R"({"to": "foo/httpbin", "from": "cluster.local/ns/c/sa/d"})", flags);
  EXPECT_EQ(GetString(foreign, "verdict"), "DENY");
  EXPECT_EQ(GetString(foreign, "layer"), "authn");
}

TEST_F(PolicyCommandTest, PathNormalizationModes) {
  Policy("{action: DENY, rules: [{to: [{operation: {paths: [/a/b]}}]}]}");
  const auto ask = [&](const char* path, const char* mode) {
    return Ask(StrCat(kSleep, R"(, "path": ")", path, "\""),
               {"--path-normalization", mode});
  };
  EXPECT_EQ(ask("/a/x/../b", "NONE"), "ALLOW");
  EXPECT_EQ(ask("/a/x/../b", "BASE"), "DENY");
  EXPECT_EQ(ask("/a//b", "BASE"), "ALLOW");
  EXPECT_EQ(ask("/a//b", "MERGE_SLASHES"), "DENY");
  EXPECT_EQ(ask("/a%2fb", "MERGE_SLASHES"), "ALLOW");
  EXPECT_EQ(ask("/a%2fb", "DECODE_AND_MERGE_SLASHES"), "DENY");
}

TEST_F(PolicyCommandTest, TellsWhatWasIgnoredAndWhy) {
  Write("p.yaml",
        Authorization("dry", "foo", "{action: DENY, rules: [{}]}",
                      "{istio.io/dry-run: 'true'}") +
            Authorization("target", "foo",
                          "{targetRefs: [{kind: Service, name: web}]}") +
            Authorization("audit", "foo", "{action: AUDIT, rules: [{}]}") +
            Authorization("allow", "foo",
                          "{rules: [{to: [{operation: {methods: [GET]}}]}, "
                          "{}]}") +
            Authorization("deny", "foo",
                          "{action: DENY, rules: [{from: [{source: "
                          "{namespaces: [x]}}], to: [{operation: {methods: "
                          "[GET]}}]}]}") +
            Authorization("elsewhere", "bar", "{}") +
            Authentication("rooted", "istio-system",
                           "{selector: {matchLabels: {app: httpbin}}, mtls: "
                           "{mode: STRICT}}"));
  const Json answer = One(StrCat(R"({"to": "foo/httpbin", )", kSleep, "}"));
  EXPECT_EQ(GetString(answer, "verdict"), "ALLOW");
  std::map<std::string, std::string> ignored;
  for (const Json& each : GetMember(answer, "ignored")) {
    ignored[GetString(each, "policy")] = GetString(each, "reason");
  }
  EXPECT_EQ(ignored.size(), 6u);
  EXPECT_THAT(ignored["foo/dry"], HasSubstr("dry run; its rule 0 holds"));
  EXPECT_THAT(ignored["foo/target"], HasSubstr("targetRefs"));
  EXPECT_THAT(ignored["foo/audit"], HasSubstr("only marks"));
  EXPECT_THAT(ignored["foo/allow"], HasSubstr("rule 0 cannot hold"));
  EXPECT_THAT(ignored["foo/deny"], HasSubstr("left out"));
  EXPECT_THAT(ignored["istio-system/rooted"], HasSubstr("root namespace"));
}

// ---- one question ----

TEST_F(PolicyCommandTest, OneQuestionByServicePortAndInWords) {
  Policy(
      "{action: DENY, rules: [{from: [{source: {namespaces: [full]}}], to: "
      "[{operation: {ports: ['80']}}]}]}");
  FakeEnvironment fake;
  EXPECT_EQ(Nodeward(fake, {"policy", "test", "--manifests", folder_, "--from",
                            "cluster.local/ns/full/sa/sleep", "--to", "foo/web",
                            "--port", "8000"}),
            kDenied)
      << fake.err();
  EXPECT_THAT(
      fake.out(),
      AllOf(HasSubstr("DENY\n"), HasSubstr("foo/httpbin port 80"),
            HasSubstr("foo/p, rule 0"), HasSubstr("PERMISSIVE (the default)")));
  FakeEnvironment other;
  EXPECT_EQ(
      Nodeward(other, {"policy", "test", "--manifests", folder_, "--from",
                       "none", "--to", "foo/web", "--method", "GET", "--header",
                       "a=b", "--header", "a=c=d", "-o", "json"}),
      kOk)
      << other.err();
  const auto json = base::ParseJson(other.out());
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(GetString(*json, "verdict"), "ALLOW");
  EXPECT_EQ(GetString(*json, "to"), "foo/httpbin");
}

TEST_F(PolicyCommandTest, APodOutsideTheMeshIsNoted) {
  FakeEnvironment fake;
  EXPECT_EQ(Nodeward(fake, {"policy", "test", "--manifests", folder_, "--from",
                            "none", "--to", "bar/legacy"}),
            kOk);
  EXPECT_THAT(fake.out(), HasSubstr("bar/legacy is not in the mesh"));
}

TEST_F(PolicyCommandTest, TheRunningAgentIsAskedWithoutManifests) {
  FakeEnvironment fake;
  fake.answers.insert_or_assign(
      "policy-test", Json{{"verdict", "DENY"}, {"policy", "a/b"}, {"rule", 3}});
  EXPECT_EQ(Nodeward(fake, {"policy", "test", "--from", "none", "--to", "a/b",
                            "--port", "80", "--host", "h", "--sni", "s"}),
            kDenied);
  EXPECT_EQ(fake.asked_command, "policy-test");
  EXPECT_EQ(fake.asked_arguments, (Json{{"from", "none"},
                                        {"to", "a/b"},
                                        {"sni", "s"},
                                        {"port", 80},
                                        {"host", "h"}}));
  EXPECT_THAT(fake.out(), HasSubstr("a/b, rule 3"));
  // An answer that says nothing is no permission.
  fake.answers.insert_or_assign("policy-test", Json::object());
  EXPECT_EQ(Nodeward(fake, {"policy", "test", "--from", "none", "--to", "a/b"}),
            kDenied);
  fake.answers.clear();
  EXPECT_EQ(Nodeward(fake, {"policy", "test", "--from", "none", "--to", "a/b"}),
            kProblem);
}

TEST_F(PolicyCommandTest, WrongUsage) {
  const std::vector<std::vector<std::string>> cases = {
      {"policy"},
      {"policy", "test"},
      {"policy", "test", "--from", "none"},
      {"policy", "test", "--to", "a/b"},
      {"policy", "test", "--batch", "f", "--from", "none"},
      {"policy", "test", "--from", "none", "--to", "a/b", "--port", "x"},
      {"policy", "test", "--from", "none", "--to", "a/b", "--protocol", "udp"},
      {"policy", "test", "--from", "none", "--to", "a/b", "--trust-domain",
       "td"},
      {"policy", "lint"},
  };
  for (const auto& arguments : cases) {
    FakeEnvironment fake;
    EXPECT_EQ(Nodeward(fake, arguments), kUsage);
    EXPECT_NE(fake.err(), "");
    EXPECT_EQ(fake.out(), "");
  }
  FakeEnvironment fake;
  EXPECT_EQ(Nodeward(fake, {"policy", "test", "--manifests", folder_, "--batch",
                            folder_ + "/nowhere"}),
            kProblem);
  EXPECT_THAT(fake.err(), HasSubstr("/nowhere"));
  EXPECT_EQ(Nodeward(fake, {"policy", "lint", "/nowhere"}), kProblem);
}

TEST_F(PolicyCommandTest, HelpHasExamples) {
  for (const char* command : {"test", "lint"}) {
    FakeEnvironment fake;
    EXPECT_EQ(Nodeward(fake, {"policy", command, "--help"}), kOk);
    EXPECT_THAT(fake.out(),
                AllOf(HasSubstr("Examples:"),
                      HasSubstr(StrCat("nodeward policy ", command))));
    EXPECT_THAT(fake.out(),
                ::testing::Not(::testing::ContainsRegex("Excludes|Needs")));
  }
}

TEST_F(PolicyCommandTest, DomainsTakeOneValueEach) {
  Policy(
      "{rules: [{from: [{source: {principals: [far.org/ns/a/sa/b, "
      "old.org/ns/a/sa/b]}}]}]}");
  FakeEnvironment fake;
  EXPECT_EQ(Nodeward(fake, {"policy", "lint", "--trust-domain-alias", "old.org",
                            "--federated-trust-domain", "far.org", folder_}),
            kOk)
      << fake.err();
  EXPECT_THAT(fake.out(), ::testing::Not(HasSubstr("matches nobody")));
}

// ---- lint ----

TEST_F(PolicyCommandTest, LintAcceptsAndWarns) {
  Policy("{action: DENY, rules: [{to: [{operation: {methods: [get]}}]}]}");
  FakeEnvironment fake;
  EXPECT_EQ(Nodeward(fake, {"policy", "lint", folder_}), kOk) << fake.err();
  EXPECT_THAT(fake.out(),
              AllOf(HasSubstr("p.yaml:2: warning: AuthorizationPolicy foo/p: "
                              "rule 0 has HTTP attributes and names no ports"),
                    HasSubstr("lower-case"), HasSubstr("0 errors, ")));
}

TEST_F(PolicyCommandTest, LintRejectsWithTheWebhooksReason) {
  Policy("{rules: [{from: [{source: {}}]}]}");
  FakeEnvironment fake;
  EXPECT_EQ(Nodeward(fake, {"policy", "lint", folder_ + "/p.yaml"}), kProblem);
  EXPECT_THAT(fake.out(),
              AllOf(HasSubstr("p.yaml:5: error: AuthorizationPolicy foo/p: "),
                    HasSubstr("must have at least 1 field set"),
                    HasSubstr("1 errors, 0 warnings")));
  FakeEnvironment json;
  EXPECT_EQ(Nodeward(json, {"policy", "lint", folder_, "-o", "json"}),
            kProblem);
  const auto result = base::ParseJson(json.out());
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(base::GetBool(*result, "acceptable", true));
  const Json& finding = GetMember(*result, "findings")[0];
  EXPECT_EQ(GetString(finding, "severity"), "error");
  EXPECT_EQ(GetString(finding, "object"), "AuthorizationPolicy foo/p");
}

}  // namespace
}  // namespace nodeward::cli
