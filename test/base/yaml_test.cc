// SPDX-License-Identifier: Apache-2.0
#include "base/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/text.h"

namespace nodeward::base {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Message(const Status& status) {
  return std::string(status.message());
}

std::string ErrorOf(std::string_view text) {
  const auto documents = ParseYaml(text);
  return documents.ok() ? "" : Message(documents.status());
}

// The only document of `text` as compact JSON; "ERROR …" when there is none.
std::string JsonOf(std::string_view text) {
  const auto documents = ParseYaml(text);
  if (!documents.ok()) return "ERROR " + Message(documents.status());
  if (documents->size() != 1) {
    return "ERROR " + std::to_string(documents->size()) + " documents";
  }
  return documents->front().value.dump();
}

struct Scalar {
  const char* text;
  const char* json;
};

TEST(YamlTest, ResolvesScalarsByTheCoreSchema) {
  const Scalar scalars[] = {
      {"a: 80", R"({"a":80})"},
      {"a: +80", R"({"a":80})"},
      {"a: -80", R"({"a":-80})"},
      {"a: 0x1F", R"({"a":31})"},
      {"a: 0o17", R"({"a":15})"},
      {"a: 0777", R"({"a":777})"},
      {"a: 18446744073709551615", R"({"a":18446744073709551615})"},
      {"a: 1e3", R"({"a":1000.0})"},
      {"a: .5", R"({"a":0.5})"},
      {"a: 5.", R"({"a":5.0})"},
      {"a: true", R"({"a":true})"},
      {"a: False", R"({"a":false})"},
      {"a: yes", R"({"a":"yes"})"},
      {"a: on", R"({"a":"on"})"},
      {"a: null", R"({"a":null})"},
      {"a: ~", R"({"a":null})"},
      {"a:", R"({"a":null})"},
      {"a: \"80\"", R"({"a":"80"})"},
      {"a: '80'", R"({"a":"80"})"},
      {"a: \"null\"", R"({"a":"null"})"},
      {"a: !!str 80", R"({"a":"80"})"},
      {"a: !!int 80", R"({"a":80})"},
      {"a: 10.0.0.1", R"({"a":"10.0.0.1"})"},
      {"a: fd00::1", R"({"a":"fd00::1"})"},
      {"a: 1.2.3", R"({"a":"1.2.3"})"},
      {"a: 1-2", R"({"a":"1-2"})"},
      {"a: +-1", R"({"a":"+-1"})"},
      {"a: -", "ERROR"},
      {"a: 0x", R"({"a":"0x"})"},
      {"a: 2024-01-02T03:04:05Z", R"({"a":"2024-01-02T03:04:05Z"})"},
      {"a: 12:30:45", R"({"a":"12:30:45"})"},
      {"a: |\n  x\n  y\n", R"({"a":"x\ny\n"})"},
      {"a: >-\n  x\n  y\n", R"({"a":"x y"})"},
      {"80: {mode: STRICT}", R"({"80":{"mode":"STRICT"}})"},
      {"'80': x", R"({"80":"x"})"},
      {"true: x", R"({"true":"x"})"},
      {"[a, b]", R"(["a","b"])"},
      {"a: []", R"({"a":[]})"},
      {"a: {}", R"({"a":{}})"},
      {"a: \"\\u00e4\\t\"", "{\"a\":\"ä\\t\"}"},
  };
  for (const Scalar& scalar : scalars) {
    EXPECT_THAT(JsonOf(scalar.text), StartsWith(scalar.json)) << scalar.text;
  }
}

TEST(YamlTest, ReadsManyDocumentsAndLeavesEmptyOnesOut) {
  const auto documents =
      ParseYaml("# head\n---\na: 1\n---\n---\n# only this\n---\nb: 2\n...\n");
  ASSERT_TRUE(documents.ok()) << documents.status();
  ASSERT_EQ(documents->size(), 2u);
  EXPECT_EQ((*documents)[0].value.dump(), R"({"a":1})");
  EXPECT_EQ((*documents)[1].value.dump(), R"({"b":2})");
  EXPECT_EQ((*documents)[1].LineOf("/b"), 8);
}

TEST(YamlTest, AnEmptyTextHasNoDocument) {
  for (const char* text : {"", "\n\n", "# nothing\n", "---\n", "---\n...\n",
                           "\xef\xbb\xbf", "   \n"}) {
    const auto documents = ParseYaml(text);
    ASSERT_TRUE(documents.ok()) << documents.status();
    EXPECT_TRUE(documents->empty()) << text;
  }
}

TEST(YamlTest, KnowsTheLineOfEveryNode) {
  const auto documents = ParseYaml(
      "kind: Pod\n"               // 1
      "metadata:\n"               // 2
      "  labels:\n"               // 3
      "    a/b~c: x\n"            // 4
      "spec:\n"                   // 5
      "  containers:\n"           // 6
      "  - name: x\n"             // 7
      "    ports:\n"              // 8
      "    - containerPort: 1\n"  // 9
      "  - name: y\n");           // 10
  ASSERT_TRUE(documents.ok()) << documents.status();
  const YamlDocument& document = documents->front();
  EXPECT_EQ(document.LineOf(""), 1);
  EXPECT_EQ(document.LineOf("/metadata/labels/a~1b~0c"), 4);
  EXPECT_EQ(document.LineOf("/spec/containers"), 6);
  EXPECT_EQ(document.LineOf("/spec/containers/0/ports/0/containerPort"), 9);
  EXPECT_EQ(document.LineOf("/spec/containers/1/name"), 10);
  // Unknown ones: the nearest ancestor's.
  EXPECT_EQ(document.LineOf("/spec/containers/1/ports/0"), 10);
  EXPECT_EQ(document.LineOf("/spec/nodeName"), 5);
  EXPECT_EQ(document.LineOf("/status"), 1);
}

TEST(YamlTest, AcceptsByteOrderMarkAndCarriageReturns) {
  EXPECT_EQ(JsonOf("\xef\xbb\xbf"
                   "a: 1\r\nb:\r\n  - x\r\n"),
            R"({"a":1,"b":["x"]})");
}

TEST(YamlTest, SaysWhereItBreaks) {
  EXPECT_THAT(ErrorOf("a: 1\nb: [1, 2\nc: 3\n"), StartsWith("line "));
  EXPECT_THAT(ErrorOf("a: 1\n\tb: 2\n"), StartsWith("line 2, column "));
  EXPECT_THAT(ErrorOf("a:\n\t- b\n"), StartsWith("line 2, column "));
  EXPECT_THAT(ErrorOf("a: b: c\n"), StartsWith("line 1, column "));
  EXPECT_THAT(ErrorOf("a: \"x\n"), StartsWith("line "));
  EXPECT_THAT(ErrorOf("a: *x\n"), StartsWith("line 1, column 4"));
  EXPECT_THAT(ErrorOf("a: 1\n b: 2\n"), StartsWith("line 2, column "));
  EXPECT_THAT(ErrorOf("- a\nb: 1\n"), StartsWith("line 2, column "));
  EXPECT_THAT(ErrorOf("a: 1\n}\n"), StartsWith("line 2, column "));
  EXPECT_THAT(ErrorOf("a: 'x\n"), StartsWith("line 2, column "));
  EXPECT_THAT(ErrorOf("a: &x !!str \"x\n"), StartsWith("line 2, column "));
  EXPECT_THAT(ErrorOf("a: \"x"), StartsWith("line "));
  EXPECT_THAT(ErrorOf("a: {b: 1\n"), StartsWith("line "));
}

TEST(YamlTest, RefusesDuplicateKeys) {
  EXPECT_EQ(ErrorOf("a: 1\nb: 2\na: 3\n"),
            "line 3, column 1: duplicate key 'a'");
  EXPECT_THAT(ErrorOf("x:\n  {a: 1, a: 1}\n"), HasSubstr("duplicate key 'a'"));
  EXPECT_EQ(ErrorOf("'80': a\n80: b\n"),
            "line 2, column 1: duplicate key '80'");
  std::string large;
  for (int i = 0; i < 500; ++i) StrAppend(&large, "k", i, ": 1\n");
  EXPECT_EQ(ErrorOf(large), "");
  EXPECT_EQ(ErrorOf(large + "k7: 2\n"),
            "line 501, column 1: duplicate key 'k7'");
  EXPECT_EQ(ErrorOf(large + "k499: 2\n"),
            "line 501, column 1: duplicate key 'k499'");
}

TEST(YamlTest, RefusesKeysThatAreNoScalars) {
  EXPECT_THAT(ErrorOf("? [a]\n: b\n"), HasSubstr("key must be a scalar"));
  EXPECT_THAT(ErrorOf("? {a: b}\n: c\n"), HasSubstr("key must be a scalar"));
  EXPECT_THAT(ErrorOf("~: b\n"), HasSubstr("key must not be null"));
  EXPECT_THAT(ErrorOf("a: &x b\n*x : c\n"), HasSubstr("key must not be"));
}

TEST(YamlTest, RefusesForeignTags) {
  EXPECT_THAT(ErrorOf("a: !!binary aGk=\n"), HasSubstr("not supported"));
  EXPECT_THAT(ErrorOf("a: !ref x\n"), HasSubstr("not supported"));
  EXPECT_THAT(ErrorOf("a: !!int x\n"), HasSubstr("not supported"));
  EXPECT_THAT(ErrorOf("a: !!set {x}\n"), HasSubstr("not supported"));
  EXPECT_EQ(JsonOf("a: !!map {x: 1}\nb: !!seq [1]\n"),
            R"({"a":{"x":1},"b":[1]})");
}

TEST(YamlTest, RefusesControlCharactersAndForeignEncodings) {
  // yaml-cpp alone would take 0x04 for the end of the text.
  EXPECT_EQ(ErrorOf("a: 1\nb: \x04\nc: 2\n"),
            "line 2, column 4: control character");
  EXPECT_EQ(ErrorOf(std::string_view("a: \0", 4)),
            "line 1, column 4: control character");
  EXPECT_EQ(ErrorOf("a: \xff\n"), "line 1, column 4: not UTF-8");
  EXPECT_EQ(ErrorOf("a: \xc0\xaf\n"), "line 1, column 4: not UTF-8");
  EXPECT_EQ(ErrorOf("a: \xed\xa0\x80\n"), "line 1, column 4: not UTF-8");
  EXPECT_EQ(ErrorOf("a: \xe2\x82"), "line 1, column 4: not UTF-8");
  // UTF-16.
  EXPECT_NE(ErrorOf(std::string_view("\xff\xfe"
                                     "a\0:\0 \0b\0",
                                     10)),
            "");
  EXPECT_NE(ErrorOf("a: \"\\ud800\"\n"), "");
}

TEST(YamlTest, FollowsAliases) {
  EXPECT_EQ(JsonOf("a: &x {k: 1}\nb: *x\nc: [*x, *x]\n"),
            R"({"a":{"k":1},"b":{"k":1},"c":[{"k":1},{"k":1}]})");
  EXPECT_EQ(JsonOf("a: &x 5\nb: *x\n"), R"({"a":5,"b":5})");
  EXPECT_EQ(JsonOf("a: &x 1\nb: &x 2\nc: *x\n"), R"({"a":1,"b":2,"c":2})");
  // An anchor ends with its document.
  EXPECT_THAT(ErrorOf("a: &x 1\n---\nb: *x\n"), StartsWith("line 3"));
}

TEST(YamlTest, AliasesKeepTheirOwnLine) {
  const auto documents = ParseYaml("a: &x\n  k: 1\nb: *x\n");
  ASSERT_TRUE(documents.ok());
  EXPECT_EQ(documents->front().LineOf("/b/k"), 3);
  EXPECT_EQ(documents->front().LineOf("/a/k"), 2);
}

TEST(YamlTest, MergesMaps) {
  EXPECT_EQ(JsonOf("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n"),
            R"({"a":{"k":1,"l":2},"b":{"l":3,"k":1}})");
  EXPECT_EQ(JsonOf("a: &x {k: 1}\nb: &y {k: 2, m: 3}\nc: {<<: [*x, *y]}\n"),
            R"({"a":{"k":1},"b":{"k":2,"m":3},"c":{"k":1,"m":3}})");
  EXPECT_THAT(ErrorOf("a:\n  <<: 5\n"), HasSubstr("'<<' must be"));
}

TEST(YamlTest, RefusesAnAliasInsideItsOwnAnchor) {
  EXPECT_THAT(ErrorOf("a: &x [*x]\n"), StartsWith("line 1"));
  EXPECT_THAT(ErrorOf("a: &x {k: {l: *x}}\n"), StartsWith("line 1"));
}

TEST(YamlTest, RefusesABillionLaughs) {
  std::string text = "a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n";
  for (int i = 1; i < 12; ++i) {
    StrAppend(&text, "a", i, ": &a", i, " [");
    for (int j = 0; j < 9; ++j) StrAppend(&text, j ? "," : "", "*a", i - 1);
    text += "]\n";
  }
  EXPECT_THAT(ErrorOf(text), HasSubstr("anchors and aliases repeat"));
}

TEST(YamlTest, RefusesDeepNesting) {
  const auto flow = [](int depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(ErrorOf(flow(64)), "");
  EXPECT_THAT(ErrorOf(flow(65)), HasSubstr("nested deeper than 64"));
  EXPECT_NE(ErrorOf(flow(100000)), "");
  std::string block;
  for (int i = 0; i < 2000; ++i) block += "- ";
  EXPECT_NE(ErrorOf(block), "");
  std::string maps;
  for (int i = 0; i < 200; ++i) maps += std::string(i, ' ') + "a:\n";
  EXPECT_THAT(ErrorOf(maps), HasSubstr("nested deeper than 64"));
  // Through aliases: each line one level deeper.
  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 100; ++i) {
    StrAppend(&chain, "a", i, ": &a", i, " [*a", i - 1, "]\n");
  }
  EXPECT_THAT(ErrorOf(chain), HasSubstr("nested deeper than 64"));
  // JSON by the other reader.
  std::string json = "{\"a\":";
  for (int i = 0; i < 70; ++i) json += "{\"a\":";
  EXPECT_NE(ErrorOf(json), "");
}

TEST(YamlTest, ReadsJsonWithItsEscapesAndTabs) {
  EXPECT_EQ(JsonOf("{\n\t\"a\": \"\\/\\ud83d\\ude00\",\n\t\"b\": [1, 2]\n}\n"),
            "{\"a\":\"/😀\",\"b\":[1,2]}");
  const auto documents =
      ParseYaml("{\n \"a\": [\n  1,\n  2\n ],\n \"b\": 3\n}");
  ASSERT_TRUE(documents.ok());
  EXPECT_EQ(documents->front().LineOf("/a"), 2);
  EXPECT_EQ(documents->front().LineOf("/a/0"), 3);
  EXPECT_EQ(documents->front().LineOf("/a/1"), 4);
  EXPECT_EQ(documents->front().LineOf("/b"), 6);
}

TEST(YamlTest, RefusesBrokenJson) {
  EXPECT_THAT(ErrorOf("{\n \"a\": 1,\n \"a\": 2\n}"),
              HasSubstr("duplicate key 'a'"));
  EXPECT_THAT(ErrorOf("{\n \"a\": \n"), StartsWith("line "));
  EXPECT_THAT(ErrorOf("{\"a\": 1}}"), StartsWith("line "));
}

// Flow style is not JSON, but begins like it.
TEST(YamlTest, ReadsFlowStyle) {
  EXPECT_EQ(JsonOf("{a: b, c: [d]}"), R"({"a":"b","c":["d"]})");
}

TEST(YamlTest, ReadsALargeText) {
  std::string text;
  for (int i = 0; i < 20000; ++i) {
    StrAppend(&text, "- name: pod-", i, "\n  labels: {app: x, n: '", i, "'}\n");
  }
  const auto documents = ParseYaml(text);
  ASSERT_TRUE(documents.ok()) << documents.status();
  EXPECT_EQ(documents->front().value.size(), 20000u);
  EXPECT_EQ(documents->front().LineOf("/19999/name"), 39999);
}

// Where a document cannot go on, yaml-cpp begins another one, or begins one
// for ever.
TEST(YamlTest, DoesNotTakeARestForADocument) {
  EXPECT_THAT(ErrorOf("{a: 1}\nb: 2\n"), StartsWith("line 2"));
  EXPECT_THAT(ErrorOf("a: 1\n- b\n"), StartsWith("line 2"));
  EXPECT_NE(ErrorOf(",a: 1\n"), "");
  EXPECT_NE(ErrorOf("a: 1\n...\nb: 2\n"), "");
  EXPECT_THAT(ErrorOf("a: 1\n---b: 2\n- c\n"), StartsWith("line "));
  EXPECT_NE(ErrorOf("]\n"), "");
  EXPECT_NE(ErrorOf("}\n"), "");
}

TEST(YamlTest, KnowsWhatStartsADocument) {
  for (const char* text : {"---", "--- a", "---\t", "---\n", "---\r\n"}) {
    EXPECT_TRUE(StartsYamlDocument(text)) << text;
  }
  for (const char* text : {"", "--", "---a", "----", " ---", "..."}) {
    EXPECT_FALSE(StartsYamlDocument(text)) << text;
  }
}

// No input may crash the parser or hang it: mutations of a real manifest.
TEST(YamlTest, SurvivesMutations) {
  const std::string seed =
      "apiVersion: v1\nkind: Pod\nmetadata: &m\n  name: httpbin\n  labels:\n"
      "    app: httpbin\n    <<: {v: \"1\"}\nspec:\n  containers:\n"
      "  - name: httpbin\n    ports: [{containerPort: 80, name: http}]\n"
      "    args: ['a', \"b\\n\"]\n    x: |\n      text\n      more\n"
      "  y: *m\n---\n{\"kind\": \"List\", \"items\": [1, 2.5, null]}\n";
  constexpr std::string_view kBytes =
      "{}[]:,-?&*!|>'\"%@`# \n\t\r~<=\\0a\x01\xc3";
  std::mt19937 random(20240501);
  int parsed = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string text = seed;
    const int edits = 1 + static_cast<int>(random() % 6);
    for (int i = 0; i < edits; ++i) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text.erase(at, 1 + random() % 5);
          break;
        case 1:
          text.insert(at, 1, kBytes[random() % kBytes.size()]);
          break;
        case 2:
          text[at] = kBytes[random() % kBytes.size()];
          break;
        default: {
          const size_t from = random() % text.size();
          text.insert(at, text.substr(from, random() % 40));
        }
      }
      if (text.empty()) text = "a";
    }
    const auto documents = ParseYaml(text);
    if (!documents.ok()) {
      EXPECT_THAT(Message(documents.status()), StartsWith("line ")) << text;
      continue;
    }
    ++parsed;
    for (const YamlDocument& document : *documents) {
      EXPECT_FALSE(document.value.dump().empty());
    }
  }
  EXPECT_GT(parsed, 0);
}

}  // namespace
}  // namespace nodeward::base
