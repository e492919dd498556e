// SPDX-License-Identifier: Apache-2.0
#include "discovery/field.h"

#include <gtest/gtest.h>

#include "discovery/reading_fixture.h"

namespace nodeward::discovery {
namespace {

TEST(FieldTest, ReadsWhatIsThere) {
  Document document(
      "s: text\ni: 7\nb: true\np: 8080\nm: {a: x, b: y}\nl: [1, 2]\n"
      "ip: 10.0.0.1\nname: a-b.c\n");
  const Field root = document.root();
  EXPECT_EQ(root["s"].Text(), "text");
  EXPECT_EQ(root["i"].Integer(), 7);
  EXPECT_TRUE(root["b"].Flag());
  EXPECT_EQ(root["p"].Port(), 8080);
  EXPECT_EQ(root["m"].StringMap(), (model::Labels{{"a", "x"}, {"b", "y"}}));
  ASSERT_EQ(root["l"].Items().size(), 2u);
  EXPECT_EQ(root["l"].Items()[1].pointer(), "/l/1");
  EXPECT_EQ(root["ip"].Address()->ToString(), "10.0.0.1");
  EXPECT_EQ(root["name"].Name(), "a-b.c");
  EXPECT_EQ(document.Findings(), "");
}

TEST(FieldTest, WhatIsMissingReadsAsTheFallback) {
  Document document("x: null\n");
  const Field root = document.root();
  for (const char* key : {"x", "y"}) {
    const Field field = root[key];
    EXPECT_EQ(field.Text("d"), "d");
    EXPECT_EQ(field.Integer(), std::nullopt);
    EXPECT_TRUE(field.Flag(true));
    EXPECT_EQ(field.Port(), std::nullopt);
    EXPECT_EQ(field.Address(), std::nullopt);
    EXPECT_EQ(field.Name("d"), "d");
    EXPECT_TRUE(field.Items().empty());
    EXPECT_TRUE(field.StringMap().empty());
    EXPECT_FALSE(field["deeper"]["still"].present());
  }
  EXPECT_EQ(document.Findings(), "");
}

TEST(FieldTest, WrongTypesAreFound) {
  Document document("a: {s: 1, i: x, f: 1.5, b: 'true', m: [], l: {}}\n");
  const Field a = document.root()["a"];
  a["s"].Text();
  a["i"].Integer();
  a["f"].Integer();
  a["b"].Flag();
  a["m"].StringMap();
  a["l"].Items();
  a["s"]["x"].Text();
  EXPECT_EQ(document.Findings(),
            "/a/s: must be a string\n/a/i: must be an integer\n"
            "/a/f: must be an integer\n/a/b: must be true or false\n"
            "/a/m: must be an object\n/a/l: must be a list\n"
            "/a/s: must be an object\n");
  EXPECT_EQ(document.worst(), Severity::kFatal);
}

TEST(FieldTest, OneFlawIsToldOnce) {
  Document document("metadata: 5\n");
  document.root()["metadata"]["name"].Text();
  document.root()["metadata"]["labels"].StringMap();
  EXPECT_EQ(document.Findings(), "/metadata: must be an object\n");
}

TEST(FieldTest, PortsAddressesAndNamesHaveBounds) {
  for (const char* port : {"0", "-1", "65536", "99999999999"}) {
    Document document(std::string("p: ") + port);
    EXPECT_EQ(document.root()["p"].Port(), std::nullopt);
    EXPECT_EQ(document.Findings(), "/p: must be a port, 1 to 65535\n") << port;
  }
  for (const char* ip : {"10.0.0", "10.0.0.1/24", "a.b", "127.0.0.1", "::1",
                         "0.0.0.0", "'::'", "fe80::1%eth0", "[fd00::1]"}) {
    Document document(std::string("i: ") + ip);
    EXPECT_EQ(document.root()["i"].Address(), std::nullopt) << ip;
    EXPECT_NE(document.Findings(), "") << ip;
  }
  Document zero("{\"i\": \"10.0.0.1\\u0000x\"}");
  EXPECT_EQ(zero.root()["i"].Address(), std::nullopt);
  for (const char* name : {"A", "a_b", "-a", "a-", "a/b", "'a b'", ".", "ä"}) {
    Document document(std::string("n: ") + name);
    EXPECT_EQ(document.root()["n"].Name("d"), "d") << name;
    EXPECT_NE(document.Findings(), "") << name;
  }
}

TEST(FieldTest, LabelsMustBeStrings) {
  Document document("m: {a: x, b: 1, c: true, d: null}\n");
  EXPECT_EQ(document.root()["m"].StringMap(), (model::Labels{{"a", "x"}}));
  EXPECT_EQ(document.Findings(),
            "/m/b: must be a string\n/m/c: must be a string\n"
            "/m/d: must be a string\n");
}

TEST(FieldTest, LenientFlawsLeaveTheRestUsable) {
  Document document("a: {b: x}\n");
  document.root()["a"].Lenient()["b"].Port();
  EXPECT_EQ(document.worst(), Severity::kPartial);
  document.root()["a"].Note("just so");
  EXPECT_EQ(document.worst(), Severity::kPartial);
  document.root()["a"]["b"].Integer();
  // Found already: not told again, whatever its weight.
  EXPECT_EQ(document.Findings(), "/a/b: must be an integer\n/a: just so\n");
}

}  // namespace
}  // namespace nodeward::discovery
