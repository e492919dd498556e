// SPDX-License-Identifier: Apache-2.0
#include "discovery/file_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

using base::StrCat;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

TEST(ReadFileSetTest, AConfigMapHasTextAndBytes) {
  Document document(
      "metadata: {name: m, namespace: ns}\ndata: {a: text}\n"
      "binaryData: {b: AAE=}\n");
  const auto set =
      ReadFileSet(document.root(), ReadMetadata(document.root()), "ConfigMap");
  EXPECT_EQ(document.Findings(), "");
  EXPECT_EQ(set->name, "m");
  EXPECT_EQ(set->name_space, "ns");
  EXPECT_THAT(set->files, ElementsAre(Pair("a", "text"),
                                      Pair("b", std::string("\0\1", 2))));
}

TEST(ReadFileSetTest, ASecretIsEncodedAndPlainTextWins) {
  Document document(
      "metadata: {name: s}\ndata: {a: dGV4dA==, b: dGV4dA==}\n"
      "stringData: {b: plain}\n");
  const auto set =
      ReadFileSet(document.root(), ReadMetadata(document.root()), "Secret");
  EXPECT_THAT(set->files, ElementsAre(Pair("a", "text"), Pair("b", "plain")));
}

TEST(ReadFileSetTest, WhatIsBrokenIsLeftOutAndNotTold) {
  Document document(
      "metadata: {name: s}\ndata: {a: '(hidden)', b: 7, c: dGV4dA==}\n");
  const auto set =
      ReadFileSet(document.root(), ReadMetadata(document.root()), "Secret");
  EXPECT_THAT(set->files, ElementsAre(Pair("c", "text")));
  EXPECT_EQ(document.worst(), Severity::kPartial);
  EXPECT_THAT(document.Findings(), AllOf(HasSubstr("/data/a: is not base64"),
                                         HasSubstr("/data/b: must be a string"),
                                         Not(HasSubstr("hidden"))));
}

struct Mounts {
  Mounts(const std::string& volumes, const std::string& mounts)
      : document(StrCat("metadata:\n  name: p\n  annotations:\n"
                        "    sidecar.istio.io/userVolume: '",
                        volumes,
                        "'\n"
                        "    sidecar.istio.io/userVolumeMount: '",
                        mounts, "'\n")),
        list(ReadProxyMounts(document.root(), ReadMetadata(document.root()))) {}
  Document document;
  std::vector<model::ProxyMount> list;
};

TEST(ReadProxyMountsTest, ReadsWhatTheAnnotationsOfSidecarsSay) {
  const Mounts mounts(
      R"([{"name":"client-ssl", "configMap":{"name":"mongo-client-pem"}},
          {"name":"s", "secret":{"secretName":"x",
           "items":[{"key":"k","path":"p"}]}}])",
      R"([{"name":"client-ssl", "mountPath":"/pem"},
          {"name":"s", "mountPath":"/s/", "readonly":true}])");
  EXPECT_EQ(mounts.document.Findings(), "");
  ASSERT_EQ(mounts.list.size(), 2u);
  EXPECT_EQ(
      mounts.list[0],
      (model::ProxyMount{
          "/pem", "client-ssl", "ConfigMap", "mongo-client-pem", {}, ""}));
  EXPECT_EQ(mounts.list[1],
            (model::ProxyMount{"/s", "s", "Secret", "x", {{"k", "p"}}, ""}));
}

TEST(ReadProxyMountsTest, ReadsTheFormByName) {
  const Mounts mounts(R"({"v": {"configMap": {"name": "m"}}})",
                      R"({"v": {"mountPath": "/m"}})");
  ASSERT_EQ(mounts.list.size(), 1u);
  EXPECT_EQ(mounts.list[0].source, "m");
  EXPECT_EQ(mounts.list[0].path, "/m");
}

TEST(ReadProxyMountsTest, OtherVolumesHaveAFlaw) {
  for (const char* source :
       {R"("hostPath": {"path": "/etc"})", R"("projected": {"sources": []})",
        R"("emptyDir": {})", R"("csi": {"driver": "d"})",
        R"("hostPath": {"path": "/etc"}, "configMap": {"name": "m"})"}) {
    const Mounts mounts(StrCat("[{\"name\": \"v\", ", source, "}]"),
                        R"([{"name": "v", "mountPath": "/v"}])");
    ASSERT_EQ(mounts.list.size(), 1u);
    EXPECT_THAT(mounts.list[0].flaw, HasSubstr("volume v is of kind "));
    EXPECT_THAT(mounts.document.Findings(), HasSubstr("volume v is of kind "));
    EXPECT_EQ(mounts.document.worst(), Severity::kNote);
  }
  const Mounts none("[]", R"([{"name": "v", "mountPath": "/v"}])");
  EXPECT_THAT(none.list.at(0).flaw, HasSubstr("has no volume v"));
  const Mounts sub(R"([{"name": "v", "secret": {"secretName": "s"}}])",
                   R"([{"name": "v", "mountPath": "/v", "subPath": "x"}])");
  EXPECT_THAT(sub.list.at(0).flaw, HasSubstr("subPath"));
}

TEST(ReadProxyMountsTest, AnnotationsThatAreNotJsonAreAFlawOfThePod) {
  const Mounts mounts("[", "oops");
  EXPECT_THAT(mounts.list, IsEmpty());
  EXPECT_EQ(mounts.document.worst(), Severity::kPartial);
  EXPECT_THAT(mounts.document.Findings(),
              HasSubstr("userVolumeMount: is not JSON"));
  const Mounts number("[]", "7");
  EXPECT_THAT(number.document.Findings(), HasSubstr("must be a JSON list"));
  const Mounts wrong("[]", R"([{"name": 7, "mountPath": "/v"}])");
  EXPECT_THAT(wrong.document.Findings(),
              HasSubstr("in it, /0/name: must be a string"));
}

}  // namespace
}  // namespace nodeward::discovery
