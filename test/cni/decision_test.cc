// SPDX-License-Identifier: Apache-2.0
#include "cni/decision.h"

#include <gmock/gmock.h>

#include "base/text.h"

namespace nodeward::cni {
namespace {

using Kind = Decision::Kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

base::Json Namespace(const std::string& label) {
  return *base::ParseJson(
      base::StrCat(R"({"metadata":{"name":"full","labels":{)", label, "}}}"));
}

base::Json Pod(const std::string& metadata = "", const std::string& spec = "") {
  return *base::ParseJson(
      base::StrCat(R"({"metadata":{"name":"p","namespace":"full","uid":"u1")",
                   metadata, R"(},"spec":{"nodeName":"node-a")", spec, "}}"));
}

constexpr char kEnabled[] = R"("nodeward.io/mesh":"enabled")";

Decision Of(const base::Json& pod, const std::string& label,
            const std::string& uid = "u1", const std::string& node = "node-a") {
  return Decide({200, pod, 200, Namespace(label)}, uid, node);
}

TEST(DecideTest, ByLabels) {
  EXPECT_EQ(Of(Pod(), kEnabled).kind, Kind::kInMesh);
  EXPECT_EQ(Of(Pod(), R"("nodeward.io/mesh":"required")").kind, Kind::kInMesh);
  EXPECT_EQ(Of(Pod(), R"("istio.io/dataplane-mode":"ambient")").kind,
            Kind::kInMesh);
  EXPECT_EQ(Of(Pod(), "").kind, Kind::kOutside);
  const std::string out = R"(,"labels":{"nodeward.io/mesh":"disabled"})";
  const std::string in = R"(,"labels":{"nodeward.io/mesh":"enabled"})";
  EXPECT_EQ(Of(Pod(out), kEnabled).kind, Kind::kOutside);
  EXPECT_EQ(Of(Pod(in), "").kind, Kind::kInMesh);
}

TEST(DecideTest, WhatIsNeverCaptured) {
  EXPECT_EQ(
      Of(Pod("", R"(,"containers":[{"name":"istio-proxy"}])"), kEnabled).kind,
      Kind::kOutside);
  EXPECT_EQ(Of(Pod("", R"(,"hostNetwork":true)"), kEnabled).kind,
            Kind::kOutside);
}

TEST(DecideTest, AnotherPodIsNotThisOne) {
  const Decision other = Of(Pod(), kEnabled, "u2");
  EXPECT_EQ(other.kind, Kind::kNotHere);
  EXPECT_THAT(other.reason, HasSubstr("with UID u1"));
  EXPECT_EQ(Of(Pod(), "", "u2").kind, Kind::kNotHere);
  const Decision elsewhere = Of(Pod(), kEnabled, "u1", "node-b");
  EXPECT_EQ(elsewhere.kind, Kind::kNotHere);
  EXPECT_THAT(elsewhere.reason, HasSubstr("on node 'node-a', not on node-b"));
  EXPECT_EQ(Of(Pod(), kEnabled, "u1", "").kind, Kind::kInMesh);
}

TEST(DecideTest, StaticPods) {
  const base::Json pod =
      Pod(R"(,"annotations":{"kubernetes.io/config.hash":"h"})");
  EXPECT_EQ(Of(pod, "", "h").kind, Kind::kOutside);
  const Decision in_mesh = Of(pod, kEnabled, "h");
  EXPECT_EQ(in_mesh.kind, Kind::kNotHere);
  EXPECT_THAT(in_mesh.reason, HasSubstr("a static pod cannot be in the mesh"));
}

TEST(DecideTest, WhatTheApiServerDoesNotHave) {
  EXPECT_EQ(Decide({404, {}, 200, Namespace(kEnabled)}, "u1", "").kind,
            Kind::kNotHere);
  EXPECT_EQ(Decide({404, {}, 200, Namespace("")}, "u1", "").kind,
            Kind::kOutside);
  EXPECT_EQ(Decide({404, {}, 404, {}}, "u1", "").kind, Kind::kNotHere);
}

TEST(DecideTest, WhatTheApiServerDoesNotSay) {
  EXPECT_EQ(Decide({200, Pod(), 403, {}}, "u1", "").kind, Kind::kUnknown);
  EXPECT_EQ(Decide({500, {}, 200, Namespace("")}, "u1", "").kind,
            Kind::kUnknown);
  EXPECT_EQ(Decide({}, "u1", "").kind, Kind::kUnknown);
}

TEST(KnownNamespacesTest, ThereAndBack) {
  const KnownNamespaces namespaces = {{"default", false}, {"full", true}};
  EXPECT_EQ(*ReadKnownNamespaces(TextOf(namespaces)), namespaces);
  EXPECT_EQ(*ReadKnownNamespaces(TextOf({})), KnownNamespaces());
  EXPECT_FALSE(ReadKnownNamespaces("").ok());
  EXPECT_FALSE(ReadKnownNamespaces("{}").ok());
  EXPECT_THAT(*ReadKnownNamespaces(R"({"optedIn":{"odd":"no"}})"),
              ElementsAre(Pair("odd", true)));
}

}  // namespace
}  // namespace nodeward::cni
