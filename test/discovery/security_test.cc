// SPDX-License-Identifier: Apache-2.0
#include "discovery/security.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

using model::MtlsMode;
using ::testing::HasSubstr;

constexpr const char* kRoot = "istio-system";

struct PeerAuthenticationRead {
  model::PeerAuthentication policy;
  std::string findings;
  Severity worst;
};

PeerAuthenticationRead Read(const std::string& spec,
                            const std::string& ns = "mtls-test") {
  Document document(
      "apiVersion: security.istio.io/v1\nkind: x\nmetadata: "
      "{name: p, namespace: " +
      ns + "}\n" + spec);
  auto policy = ReadPeerAuthentication(document.root(),
                                       ReadMetadata(document.root()), kRoot);
  return {policy, document.Findings(), document.worst()};
}

TEST(PeerAuthenticationTest, ReadsTheDocumentsPolicy) {
  const auto read = Read(
      "spec: {selector: {matchLabels: {app: httpbin}}, mtls: {mode: STRICT}, "
      "portLevelMtls: {8080: {mode: DISABLE}, '9090': {}, 1: null}}");
  EXPECT_EQ(read.findings, "");
  EXPECT_EQ(read.policy.QualifiedName(), "mtls-test/p");
  EXPECT_EQ(read.policy.mode, MtlsMode::kStrict);
  EXPECT_EQ(read.policy.selector, (model::Labels{{"app", "httpbin"}}));
  EXPECT_EQ(read.policy.port_modes,
            (std::map<uint16_t, MtlsMode>{{8080, MtlsMode::kDisable},
                                          {9090, MtlsMode::kUnset},
                                          {1, MtlsMode::kUnset}}));
}

TEST(PeerAuthenticationTest, AbsentMeansUnset) {
  for (const char* spec :
       {"", "spec: null", "spec: {}", "spec: {mtls: null}", "spec: {mtls: {}}",
        "spec: {mtls: {mode: null}}", "spec: {mtls: {mode: UNSET}}"}) {
    const auto read = Read(spec);
    EXPECT_EQ(read.policy.mode, MtlsMode::kUnset) << spec;
    EXPECT_EQ(read.findings, "") << spec;
  }
}

TEST(PeerAuthenticationTest, RefusesWhatTheCrdRefuses) {
  const struct {
    const char* spec;
    const char* finding;
  } rows[] = {
      {"spec: {mtls: {mode: STRIKT}}", "/spec/mtls/mode: must be UNSET"},
      {"spec: {mtls: {mode: strict}}", "/spec/mtls/mode: must be UNSET"},
      {"spec: {mtls: {mode: ''}}", "/spec/mtls/mode: must be UNSET"},
      {"spec: {mtls: {mode: 2}}", "/spec/mtls/mode: must be a string"},
      {"spec: {mtls: STRICT}", "/spec/mtls: must be an object"},
      {"spec: {mtls: {made: STRICT}}", "/spec/mtls/made: unknown field"},
      {"spec: {mtsl: {mode: STRICT}}", "/spec/mtsl: unknown field"},
      {"spek: {mtls: {mode: STRICT}}", "/spek: unknown field"},
      {"spec: [x]", "/spec: must be an object"},
      {"spec: {selector: {matchLabel: {a: b}}}",
       "/spec/selector/matchLabel: unknown field"},
      {"spec: {selector: {matchLabels: {app: '*'}}}", "wildcards"},
      {"spec: {selector: {matchLabels: {'a*': b}}}", "wildcards"},
      {"spec: {selector: {matchLabels: {'': b}}}", "key must not be empty"},
      {"spec: {selector: {matchLabels: {app: 5}}}",
       "/spec/selector/matchLabels/app: must be a string"},
      {"spec: {selector: {matchLabels: [a]}}", "must be an object"},
      {"spec: {portLevelMtls: {80: {mode: STRICT}}}",
       "/spec/portLevelMtls: needs a selector"},
      {"spec: {selector: {}, portLevelMtls: {80: {mode: STRICT}}}",
       "needs a selector"},
      {"spec: {selector: {matchLabels: {a: b}}, portLevelMtls: {}}",
       "at least one port"},
      {"spec: {selector: {matchLabels: {a: b}}, portLevelMtls: {0: {}}}",
       "1 to 65535"},
      {"spec: {selector: {matchLabels: {a: b}}, portLevelMtls: {65536: {}}}",
       "1 to 65535"},
      {"spec: {selector: {matchLabels: {a: b}}, portLevelMtls: {http: {}}}",
       "1 to 65535"},
      {"spec: {selector: {matchLabels: {a: b}}, portLevelMtls: {80: STRICT}}",
       "/spec/portLevelMtls/80: must be an object"},
      {"spec: {selector: {matchLabels: {a: b}}, portLevelMtls: {80: {mode: "
       "x}}}",
       "must be UNSET"},
  };
  for (const auto& row : rows) {
    const auto read = Read(row.spec);
    EXPECT_THAT(read.findings, HasSubstr(row.finding)) << row.spec;
    EXPECT_EQ(read.worst, Severity::kFatal) << row.spec;
  }
}

TEST(PeerAuthenticationTest, NotesWhatHasNoEffect) {
  auto read = Read("spec: {selector: {}, mtls: {mode: STRICT}}");
  EXPECT_EQ(read.worst, Severity::kNote);
  EXPECT_THAT(read.findings, HasSubstr("counts as none"));
  EXPECT_TRUE(read.policy.selector.empty());
  read = Read("spec: {selector: {matchLabels: {a: b}}}", kRoot);
  EXPECT_EQ(read.worst, Severity::kNote);
  EXPECT_THAT(read.findings, HasSubstr("no effect"));
}

model::ClosingPolicy Broken(const std::string& text) {
  Document document(text);
  return CloseForBroken(document.value(), "PeerAuthentication", "why", kRoot);
}

TEST(CloseForBrokenTest, ClosesByWhatCanBeRead) {
  auto closing = Broken(
      "metadata: {name: p, namespace: mtls-test}\nspec: {selector: "
      "{matchLabels: {app: httpbin}}, mtls: {mode: STRIKT}}");
  EXPECT_EQ(closing.name, "p");
  EXPECT_EQ(closing.name_space, "mtls-test");
  EXPECT_FALSE(closing.mesh_wide);
  EXPECT_EQ(closing.selector, (model::Labels{{"app", "httpbin"}}));
  EXPECT_EQ(closing.reason, "why");
  // A selector that cannot be understood might select all.
  for (const char* selector :
       {"x", "{matchLabels: {app: 5}}", "{matchLabels: {app: 'h*'}}",
        "{matchLabls: {app: httpbin}}", "[a]"}) {
    closing = Broken(
        std::string("metadata: {name: p, namespace: n}\nspec: {selector: ") +
        selector + "}");
    EXPECT_TRUE(closing.selector.empty()) << selector;
    EXPECT_FALSE(closing.mesh_wide) << selector;
  }
  // The namespace that the API would take.
  EXPECT_EQ(Broken("metadata: {name: p}").name_space, "default");
  // A namespace that cannot be read might be any.
  for (const char* metadata :
       {"{name: p, namespace: 5}", "{name: p, namespace: A_B}", "x", "[]"}) {
    EXPECT_TRUE(Broken(std::string("metadata: ") + metadata).mesh_wide)
        << metadata;
  }
  EXPECT_TRUE(Broken("metadata: {namespace: istio-system}").mesh_wide);
  EXPECT_EQ(Broken("metadata: {name: [x], namespace: n}").name, "");
}

TEST(CloseForTextTest, ReadsWhatATextThatDoesNotParseMayHold) {
  const auto close = [](const char* text) {
    return CloseForText(text, "why", kRoot);
  };
  EXPECT_FALSE(close("kind: Pod\nmetadata: {name: [").has_value());
  EXPECT_FALSE(close("").has_value());
  EXPECT_FALSE(close("# a PeerAuthentication follows\nkind: [").has_value());
  auto closing = close(
      "kind: PeerAuthentication\nmetadata:\n  name: httpbin\n  namespace: "
      "\"mtls-test\"\nspec: [");
  ASSERT_TRUE(closing.has_value());
  EXPECT_EQ(closing->kind, "PeerAuthentication");
  EXPECT_EQ(closing->name_space, "mtls-test");
  EXPECT_EQ(closing->name, "httpbin");
  EXPECT_FALSE(closing->mesh_wide);
  EXPECT_TRUE(closing->selector.empty());
  closing = close(
      "{\"kind\": \"AuthorizationPolicy\", \"metadata\": "
      "{\"namespace\" : \"n\",");
  ASSERT_TRUE(closing.has_value());
  EXPECT_EQ(closing->kind, "AuthorizationPolicy");
  EXPECT_EQ(closing->name_space, "n");
  // No namespace, several, or the root: the whole mesh.
  EXPECT_TRUE(close("kind: PeerAuthentication\n\t- x")->mesh_wide);
  EXPECT_TRUE(
      close("PeerAuthentication namespace: a\nnamespace: b")->mesh_wide);
  EXPECT_TRUE(close("PeerAuthentication\nnamespace: istio-system")->mesh_wide);
  EXPECT_TRUE(close("PeerAuthentication\nnamespace: [x")->mesh_wide);
  // A principal's list of namespaces is not the object's.
  EXPECT_EQ(
      close("AuthorizationPolicy\nnamespace: a\n  namespaces: [b")->name_space,
      "a");
}

}  // namespace
}  // namespace nodeward::discovery
