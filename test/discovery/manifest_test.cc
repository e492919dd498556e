// SPDX-License-Identifier: Apache-2.0
#include "discovery/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "base/text.h"

namespace nodeward::discovery {
namespace {

using model::MtlsMode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::string_view kStrict =
    "apiVersion: security.istio.io/v1beta1\n"
    "kind: PeerAuthentication\n"
    "metadata:\n"
    "  name: httpbin\n"
    "  namespace: mtls-test\n"
    "spec:\n"
    "  selector:\n"
    "    matchLabels:\n"
    "      app: httpbin\n"
    "  mtls:\n"
    "    mode: STRICT\n";

constexpr std::string_view kPod =
    "apiVersion: v1\n"
    "kind: Pod\n"
    "metadata:\n"
    "  name: httpbin\n"
    "  namespace: mtls-test\n"
    "spec:\n"
    "  containers:\n"
    "  - name: httpbin\n"
    "    ports:\n"
    "    - containerPort: 80\n"
    "status: {podIP: 10.0.0.1}\n";

std::string Replace(std::string_view text, std::string_view from,
                    std::string_view to) {
  std::string result(text);
  const size_t at = result.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return result.replace(at, from.size(), to);
}

std::string Both(std::string_view a, std::string_view b) {
  return std::string(a) + "---\n" + std::string(b);
}

Manifest Read(std::string_view text, const Manifest* last = nullptr) {
  return ReadManifest("a.yaml", text, last, {});
}

// "kind ns/name", with what it is now in brackets when that is not the object.
std::vector<std::string> Titles(const Manifest& manifest) {
  std::vector<std::string> titles;
  for (const Object& object : manifest.objects) {
    std::string title = object.Title();
    if (std::holds_alternative<std::shared_ptr<const model::ClosingPolicy>>(
            object.content)) {
      title += " (closing)";
    }
    titles.push_back(title);
  }
  return titles;
}

// Of the file and of the objects.
std::vector<std::string> Problems(const Manifest& manifest) {
  std::vector<std::string> texts;
  auto problems = manifest.problems;
  for (const Object& object : manifest.objects) {
    problems.insert(problems.end(), object.notes.begin(), object.notes.end());
  }
  for (const model::Problem& problem : problems) {
    texts.push_back(problem.ToString() + (problem.closes ? " [closes]" : ""));
  }
  return texts;
}

MtlsMode ModeOf(const Object& object) {
  return std::get<std::shared_ptr<const model::PeerAuthentication>>(
             object.content)
      ->mode;
}

TEST(ManifestTest, ReadsManyKinds) {
  const Manifest manifest = Read(
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: full}\n---\n"
      "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\n"
      "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: "
      "e}\naddressType: IPv4\n---\n"
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\n"
      "apiVersion: apps/v1\nkind: Deployment\nspec: [not, looked, at]\n---\n"
      "apiVersion: serving.knative.dev/v1\nkind: Service\n---\n"
      "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {type: "
      "ExternalName, externalName: example.com}\n---\n" +
      Both(kPod, kStrict));
  EXPECT_THAT(Titles(manifest),
              ElementsAre("Namespace full", "Service default/s",
                          "EndpointSlice default/e", "Pod mtls-test/httpbin",
                          "PeerAuthentication mtls-test/httpbin"));
  EXPECT_THAT(Problems(manifest), IsEmpty());
  EXPECT_EQ(manifest.ignored_kinds.at("Deployment"), 2);
  EXPECT_EQ(manifest.ignored_kinds.at("Service"), 1);
  EXPECT_EQ(manifest.ignored_kinds.at("Service of type ExternalName"), 1);
}

TEST(ManifestTest, AcceptsBothVersionsOfPeerAuthentication) {
  for (const char* version : {"v1", "v1beta1"}) {
    const Manifest manifest = Read(Replace(kStrict, "v1beta1", version));
    ASSERT_EQ(manifest.objects.size(), 1u);
    EXPECT_EQ(ModeOf(manifest.objects[0]), MtlsMode::kStrict);
  }
}

TEST(ManifestTest, FlattensLists) {
  const Manifest manifest = Read(
      "apiVersion: v1\nkind: List\nitems:\n"
      "- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n"
      "- apiVersion: v1\n  kind: NamespaceList\n  items:\n"
      "  - {metadata: {name: b}}\n"
      "  - {metadata: {name: c, labels: {nodeward.io/mesh: on}}}\n");
  EXPECT_THAT(Titles(manifest),
              ElementsAre("Namespace a", "Namespace b", "Namespace c"));
  EXPECT_THAT(Problems(manifest),
              ElementsAre(StartsWith("a.yaml:9: Namespace c: ")));
  EXPECT_THAT(Titles(Read("{\"kind\": \"List\", \"apiVersion\": \"v1\"}")),
              IsEmpty());
}

TEST(ManifestTest, TellsFileLineAndReason) {
  const Manifest manifest =
      Read(Replace(kPod, "containerPort: 80", "containerPort: eighty"));
  EXPECT_THAT(Titles(manifest), ElementsAre("Pod mtls-test/httpbin"));
  EXPECT_FALSE(manifest.objects[0].good);
  EXPECT_THAT(
      Problems(manifest),
      ElementsAre("a.yaml:10: Pod mtls-test/httpbin: "
                  "/spec/containers/0/ports/0/containerPort: must be an "
                  "integer; that part is left out"));
}

TEST(ManifestTest, WhatIsNotKubernetesIsReported) {
  EXPECT_THAT(Problems(Read("just text\n")),
              ElementsAre("a.yaml:1: not a Kubernetes object"));
  EXPECT_THAT(Problems(Read("# x\n- a\n- b\n")),
              ElementsAre("a.yaml:2: not a Kubernetes object"));
  EXPECT_THAT(Problems(Read("a: b\n")),
              ElementsAre(HasSubstr("kind is missing")));
  EXPECT_THAT(Problems(Read("kind: Pod\n")),
              ElementsAre(HasSubstr("apiVersion is missing")));
  EXPECT_THAT(Problems(Read("kind: List\napiVersion: v1\nitems: x\n")),
              ElementsAre("a.yaml:1: /items: must be a list"));
  EXPECT_THAT(Problems(Read("a: [\n")),
              ElementsAre(StartsWith("a.yaml:2: not well-formed YAML: ")));
  EXPECT_THAT(Problems(Read("")), IsEmpty());
}

TEST(ManifestTest, ABrokenTextKeepsTheLastGoodStateOfTheFile) {
  const Manifest good = Read(Both(kPod, kStrict));
  // Also the documents that would parse: half a file is no file.
  const Manifest broken =
      Read(Both(Replace(kStrict, "STRICT", "PERMISSIVE"), "a: [\n"), &good);
  EXPECT_THAT(Titles(broken),
              ElementsAre("Pod mtls-test/httpbin",
                          "PeerAuthentication mtls-test/httpbin"));
  EXPECT_EQ(ModeOf(broken.objects[1]), MtlsMode::kStrict);
  EXPECT_THAT(Problems(broken),
              ElementsAre(AllOf(StartsWith("a.yaml:14: not well-formed"),
                                HasSubstr("last good version of the file"))));
  // And again, and then it is mended.
  const Manifest still = Read("\tx", &broken);
  EXPECT_EQ(still.objects.size(), 2u);
  EXPECT_THAT(Problems(still), ElementsAre(StartsWith("a.yaml:1: ")));
  const Manifest mended = Read(kPod, &still);
  EXPECT_THAT(Titles(mended), ElementsAre("Pod mtls-test/httpbin"));
  EXPECT_THAT(Problems(mended), IsEmpty());
}

TEST(ManifestTest, ABrokenObjectKeepsItsLastGoodVersion) {
  const Manifest good = Read(Both(kPod, kStrict));
  const Manifest broken = Read(Both(Replace(kPod, "10.0.0.1", "10.0.0.2"),
                                    Replace(kStrict, "STRICT", "STRIKT")),
                               &good);
  ASSERT_THAT(Titles(broken),
              ElementsAre("Pod mtls-test/httpbin",
                          "PeerAuthentication mtls-test/httpbin"));
  EXPECT_EQ(ModeOf(broken.objects[1]), MtlsMode::kStrict);
  // The other objects of the file are those of the new version.
  const auto& pod = std::get<std::shared_ptr<Pod>>(broken.objects[0].content);
  EXPECT_EQ(pod->workload->ips[0].ToString(), "10.0.0.2");
  EXPECT_THAT(Problems(broken),
              ElementsAre("a.yaml:23: PeerAuthentication mtls-test/httpbin: "
                          "/spec/mtls/mode: must be UNSET, DISABLE, PERMISSIVE "
                          "or STRICT; the last good version stays in force"));
}

TEST(ManifestTest, APodWithALastGoodVersionIsNotUsedInParts) {
  const Manifest good = Read(kPod);
  const Manifest broken =
      Read(Replace(Replace(kPod, "containerPort: 80", "containerPort: x"),
                   "10.0.0.1", "10.0.0.9"),
           &good);
  ASSERT_EQ(broken.objects.size(), 1u);
  EXPECT_EQ(std::get<std::shared_ptr<Pod>>(broken.objects[0].content),
            std::get<std::shared_ptr<Pod>>(good.objects[0].content));
}

TEST(ManifestTest, ASecurityObjectThatNeverWasGoodCloses) {
  const Manifest manifest = Read(Replace(kStrict, "STRICT", "STRIKT"));
  EXPECT_THAT(Titles(manifest),
              ElementsAre("PeerAuthentication mtls-test/httpbin (closing)"));
  const auto& closing = *std::get<std::shared_ptr<const model::ClosingPolicy>>(
      manifest.objects[0].content);
  EXPECT_EQ(closing.name_space, "mtls-test");
  EXPECT_EQ(closing.selector, (model::Labels{{"app", "httpbin"}}));
  EXPECT_THAT(closing.reason, HasSubstr("/spec/mtls/mode"));
  EXPECT_THAT(Problems(manifest),
              ElementsAre(AllOf(StartsWith("a.yaml:11: PeerAuthentication "
                                           "mtls-test/httpbin: "),
                                HasSubstr("until it is mended"),
                                HasSubstr("[closes]"))));
  // A closing makeshift is no good version to fall back to.
  const Manifest again =
      Read(Replace(kStrict, "mode: STRICT", "made: STRICT"), &manifest);
  EXPECT_THAT(Titles(again),
              ElementsAre("PeerAuthentication mtls-test/httpbin (closing)"));
  const Manifest mended = Read(kStrict, &again);
  EXPECT_EQ(ModeOf(mended.objects.at(0)), MtlsMode::kStrict);
  EXPECT_THAT(Problems(mended), IsEmpty());
}

TEST(ManifestTest, AClosingObjectOutlivesATextThatDoesNotParse) {
  const Manifest closing = Read(Replace(kStrict, "STRICT", "STRIKT"));
  const Manifest broken = Read("a: [", &closing);
  EXPECT_THAT(Titles(broken),
              ElementsAre("PeerAuthentication mtls-test/httpbin (closing)"));
  EXPECT_THAT(Problems(broken), testing::Contains(HasSubstr("[closes]")));
}

TEST(ManifestTest, ATextThatNeverParsedIsReadPieceByPiece) {
  const std::string text = Both(
      Both(kPod, Replace(kStrict, "mode: STRICT", "mode: [STRICT")), kStrict);
  const Manifest manifest = Read(text);
  EXPECT_THAT(Titles(manifest),
              ElementsAre("Pod mtls-test/httpbin",
                          "PeerAuthentication mtls-test/httpbin (closing)",
                          "PeerAuthentication mtls-test/httpbin"));
  EXPECT_FALSE(manifest.parsed);
  EXPECT_EQ(manifest.objects[2].line, 25);
  EXPECT_THAT(Problems(manifest),
              ElementsAre(AllOf(HasSubstr("not well-formed YAML"),
                                HasSubstr("[closes]"))));
  // Still nothing good is known of the whole.
  const Manifest again = Read("kind: PeerAuthentication\n  x: [", &manifest);
  EXPECT_THAT(Titles(again), ElementsAre("PeerAuthentication (closing)"));
  EXPECT_TRUE(std::get<std::shared_ptr<const model::ClosingPolicy>>(
                  again.objects[0].content)
                  ->mesh_wide);
  // A text that names no security kind is reported and no more.
  const Manifest other = Read("foo: [");
  EXPECT_THAT(Titles(other), IsEmpty());
  EXPECT_THAT(Problems(other), ElementsAre(Not(HasSubstr("[closes]"))));
}

TEST(ManifestTest, WhatCannotBeNamedKeepsAllThatIsNotRestated) {
  const Manifest good = Read(Both(kPod, kStrict));
  for (const char* broken :
       {"kind: PeerAuthentication\napiVersion: security.istio.io/v1\n",
        "apiVersion: security.istio.io/v1\nmetadata: {name: x}\n",
        "kind: PeerAuthentication\nmetadata: {name: httpbin}\n",
        "kind: PeerAuthentication\napiVersion: security.istio.io/v9\n"
        "metadata: {name: httpbin, namespace: mtls-test}\n",
        "- a list\n"}) {
    const Manifest manifest = Read(Both(kPod, broken), &good);
    EXPECT_THAT(Titles(manifest),
                ElementsAre("Pod mtls-test/httpbin",
                            "PeerAuthentication mtls-test/httpbin"))
        << broken;
    EXPECT_EQ(ModeOf(manifest.objects[1]), MtlsMode::kStrict);
    EXPECT_EQ(Problems(manifest).size(), 1u) << broken;
    EXPECT_THAT(Problems(manifest), ElementsAre(Not(HasSubstr("[closes]"))));
  }
}

TEST(ManifestTest, AnUnnamedSecurityObjectWithoutAGoodOneCloses) {
  for (const char* broken :
       {"kind: PeerAuthentication\napiVersion: security.istio.io/v1\n",
        "apiVersion: security.istio.io/v1\nmetadata: {name: x}\n",
        "kind: AuthorizationPolicy\n",
        "kind: PeerAuthentication\napiVersion: security.istio.io/v9\n"}) {
    const Manifest manifest = Read(broken);
    EXPECT_EQ(manifest.objects.size(), 1u) << broken;
    EXPECT_THAT(Problems(manifest), ElementsAre(HasSubstr("[closes]")));
  }
  // Of another group: none of ours.
  const Manifest other =
      Read("kind: PeerAuthentication\napiVersion: example.com/v1\n");
  EXPECT_THAT(Titles(other), IsEmpty());
  EXPECT_EQ(other.ignored_kinds.at("PeerAuthentication"), 1);
}

TEST(ManifestTest, ReadsAuthorizationPoliciesWithTheirPlace) {
  for (const char* version : {"v1", "v1beta1"}) {
    const Manifest manifest =
        Read(base::StrCat("# first\napiVersion: security.istio.io/", version,
                          "\nkind: AuthorizationPolicy\n"
                          "metadata: {name: deny, namespace: mtls-test}\n"
                          "spec: {selector: {matchLabels: {app: httpbin}}}\n"));
    ASSERT_THAT(Titles(manifest),
                ElementsAre("AuthorizationPolicy mtls-test/deny"));
    EXPECT_THAT(Problems(manifest), IsEmpty());
    const auto& policy =
        *std::get<std::shared_ptr<const model::AuthorizationPolicy>>(
            manifest.objects[0].content);
    EXPECT_EQ(policy.file, "a.yaml");
    EXPECT_EQ(policy.line, 2);
  }
}

TEST(ManifestTest, ABrokenAuthorizationPolicyClosesWithAStatusLine) {
  const std::string head =
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
      "metadata: {name: deny, namespace: mtls-test}\n";
  const std::string broken = head + "spec: {action: DENY}\n";
  const Manifest manifest = Read(broken);
  EXPECT_THAT(Titles(manifest),
              ElementsAre("AuthorizationPolicy mtls-test/deny (closing)"));
  EXPECT_THAT(Problems(manifest),
              ElementsAre(AllOf(
                  StartsWith("a.yaml:4: AuthorizationPolicy mtls-test/deny: "),
                  HasSubstr("meaningless"), HasSubstr("[closes]"))));
  // After a good one that stays, and nothing closes.
  const Manifest good = Read(head);
  const Manifest after = Read(broken, &good);
  EXPECT_THAT(Titles(after), ElementsAre("AuthorizationPolicy mtls-test/deny"));
  EXPECT_THAT(Problems(after), ElementsAre(Not(HasSubstr("[closes]"))));
}

TEST(ManifestTest, UnknownOptInValuesAreReported) {
  const Manifest manifest = Read(Replace(
      kPod, "  namespace: mtls-test\n",
      "  namespace: mtls-test\n  labels:\n    nodeward.io/mesh: please\n"));
  EXPECT_TRUE(manifest.objects.at(0).good);
  EXPECT_THAT(Problems(manifest),
              ElementsAre(StartsWith("a.yaml:7: Pod mtls-test/httpbin: "
                                     "/metadata/labels/nodeward.io~1mesh: "
                                     "unknown value 'please'")));
}

TEST(ManifestTest, UnchangedPodsKeepTheirAddress) {
  const std::string other = Replace(kPod, "name: httpbin", "name: other");
  const Manifest before = Read(Both(kPod, other));
  const Manifest after =
      Read(Both(Replace(kPod, "10.0.0.1", "10.0.0.2"), other), &before);
  const auto pod = [](const Manifest& manifest, size_t i) {
    return std::get<std::shared_ptr<Pod>>(manifest.objects.at(i).content);
  };
  EXPECT_NE(pod(before, 0), pod(after, 0));
  EXPECT_EQ(pod(before, 1), pod(after, 1));
}

// Whatever the text, a policy that was good stays until a good text drops it,
// and a broken one that never was good closes or is reported.
TEST(ManifestTest, SurvivesMutations) {
  const std::string seed = Both(kPod, kStrict);
  const Manifest good = Read(seed);
  std::mt19937 random(7);
  for (int round = 0; round < 1500; ++round) {
    std::string text = seed;
    for (int edit = 0; edit < 3; ++edit) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text.erase(at, 1 + random() % 8);
          break;
        case 1:
          text[at] = "{}[]:-\n \t\"x0"[random() % 12];
          break;
        default: {
          const size_t from = random() % text.size();
          text.insert(at, text.substr(from, random() % 30));
        }
      }
    }
    for (const Manifest* last :
         {static_cast<const Manifest*>(nullptr), &good}) {
      const Manifest manifest = Read(text, last);
      for (const std::string& problem : Problems(manifest)) {
        EXPECT_THAT(problem, StartsWith("a.yaml:")) << text;
      }
      if (!manifest.parsed && last == nullptr) {
        EXPECT_FALSE(Problems(manifest).empty()) << text;
      }
    }
  }
}

constexpr const char* kRule = R"(
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: r, namespace: ns}
spec:
  host: h
  trafficPolicy:
    tls:
      mode: SIMPLE
)";

const model::DestinationRule& RuleOf(const Object& object) {
  return *std::get<std::shared_ptr<const model::DestinationRule>>(
      object.content);
}

TEST(ManifestTest, ReadsDestinationRulesOfEveryVersion) {
  for (const char* version : {"v1", "v1beta1", "v1alpha3"}) {
    const Manifest manifest =
        Read(Replace(kRule, "io/v1", std::string("io/") + version));
    EXPECT_THAT(Problems(manifest), IsEmpty());
    ASSERT_EQ(manifest.objects.size(), 1u) << version;
    EXPECT_EQ(RuleOf(manifest.objects[0]).file, "a.yaml");
    EXPECT_EQ(RuleOf(manifest.objects[0]).line, 2);
  }
  EXPECT_THAT(Problems(Read(Replace(kRule, "io/v1", "io/v9"))),
              ElementsAre(HasSubstr("use networking.istio.io/v1")));
}

TEST(ManifestTest, ABrokenDestinationRuleKeepsTheLastGoodOneOrRefuses) {
  const std::string broken = Replace(kRule, "SIMPLE", "SIMPEL");
  const Manifest good = Read(kRule);
  const Manifest kept = Read(broken, &good);
  EXPECT_EQ(RuleOf(kept.objects.at(0)).tls->mode,
            model::ClientTls::Mode::kSimple);
  EXPECT_THAT(Problems(kept),
              ElementsAre(AllOf(StartsWith("a.yaml:9: DestinationRule ns/r: "),
                                HasSubstr("last good version"))));
  const Manifest never = Read(broken);
  EXPECT_THAT(RuleOf(never.objects.at(0)).broken, HasSubstr("tls/mode"));
  EXPECT_FALSE(never.objects[0].good);
  EXPECT_THAT(
      Problems(never),
      ElementsAre(AllOf(HasSubstr("connections to its host are refused"),
                        HasSubstr("[closes]"))));
  const Manifest again = Read(broken, &never);
  EXPECT_NE(RuleOf(again.objects.at(0)).broken, "");
  // Nobody can know what it was for.
  EXPECT_THAT(Titles(Read(Replace(kRule, "host: h", "hots: h"))), IsEmpty());
}

TEST(ManifestTest, ReadsConfigMapsAndSecrets) {
  const Manifest manifest = Read(
      "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\n"
      "data: {a: dGV4dA==}\n---\n"
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: b}\n");
  EXPECT_THAT(Titles(manifest),
              ElementsAre("Secret ns/s", "ConfigMap default/m"));
  EXPECT_THAT(manifest.ignored_kinds, IsEmpty());
}

}  // namespace
}  // namespace nodeward::discovery
