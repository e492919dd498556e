// SPDX-License-Identifier: Apache-2.0
#include "cni/conflist.h"

#include <gmock/gmock.h>

namespace nodeward::cni {
namespace {

using base::Json;

constexpr char kList[] =
    R"({"cniVersion":"0.4.0","name":"pods","odd":[1.5,"ü"],"plugins":)"
    R"([{"type":"bridge","isGateway":true},{"type":"portmap"}]})";

const Json& Entry() {
  static const Json* const kEntry =
      new Json({{"type", "nodeward-cni"}, {"socket", "/run/s"}});
  return *kEntry;
}

std::vector<std::string> TypesOf(const std::string& text) {
  std::vector<std::string> types;
  const Json json = *base::ParseJson(text);
  for (const Json& plugin : base::GetMember(json, "plugins")) {
    types.push_back(base::GetString(plugin, "type"));
  }
  return types;
}

TEST(KindOfTest, AsRuntimesSeeIt) {
  using Kind = ConfigurationKind;
  EXPECT_EQ(KindOf("10-a.conflist", kList), Kind::kList);
  EXPECT_EQ(KindOf("10-a.conf", R"({"name":"a","type":"bridge"})"),
            Kind::kSingle);
  EXPECT_EQ(KindOf("10-a.json", R"({"type":"bridge"})"), Kind::kSingle);
  EXPECT_EQ(KindOf("10-a.conf", kList), Kind::kNone);
  EXPECT_EQ(KindOf("10-a.conflist", R"({"type":"bridge"})"), Kind::kNone);
  EXPECT_EQ(KindOf("10-a.conflist", R"({"name":"a","plugins":[]})"),
            Kind::kNone);
  EXPECT_EQ(KindOf("10-a.conflist", R"({"plugins":[{"type":"b"}]})"),
            Kind::kNone);
  EXPECT_EQ(KindOf("10-a.conflist", "{"), Kind::kNone);
  EXPECT_EQ(KindOf("10-a.conflist.bak", kList), Kind::kNone);
}

TEST(WithEntryTest, ComesLastAndOnce) {
  const std::string with = WithEntry(kList, Entry());
  EXPECT_THAT(TypesOf(with),
              testing::ElementsAre("bridge", "portmap", "nodeward-cni"));
  EXPECT_EQ((*base::ParseJson(with))["plugins"][2], Entry());
  // All else is as it was.
  Json rest = *base::ParseJson(with);
  rest["plugins"].erase(2);
  EXPECT_EQ(rest, *base::ParseJson(kList));
  EXPECT_EQ(WithEntry(with, Entry()), with);
  EXPECT_TRUE(HasEntry(with));
  EXPECT_FALSE(HasEntry(kList));
}

TEST(WithEntryTest, AnOldOneIsReplaced) {
  const std::string old = WithEntry(kList, {{"type", "nodeward-cni"}});
  EXPECT_EQ(*base::ParseJson(WithEntry(old, Entry())),
            *base::ParseJson(WithEntry(kList, Entry())));
  // Somebody has put another plugin behind it.
  Json json = *base::ParseJson(old);
  json["plugins"].push_back({{"type", "bandwidth"}});
  EXPECT_THAT(
      TypesOf(WithEntry(json.dump(), Entry())),
      testing::ElementsAre("bridge", "portmap", "bandwidth", "nodeward-cni"));
}

TEST(WithoutEntryTest, IsWhatItWas) {
  EXPECT_EQ(*base::ParseJson(WithoutEntry(WithEntry(kList, Entry()))),
            *base::ParseJson(kList));
  EXPECT_EQ(WithoutEntry(kList), kList);
}

TEST(ListOfTest, OfASinglePlugin) {
  const std::string list = ListOf(
      R"({"cniVersion":"0.3.1","name":"net","type":"bridge","mtu":1400})",
      Entry());
  EXPECT_EQ(KindOf("a.conflist", list), ConfigurationKind::kList);
  const Json json = *base::ParseJson(list);
  EXPECT_EQ(json["cniVersion"], "0.3.1");
  EXPECT_EQ(json["name"], "net");
  EXPECT_EQ(json["plugins"][0], Json({{"type", "bridge"}, {"mtu", 1400}}));
  EXPECT_EQ(json["plugins"][1], Entry());
}

}  // namespace
}  // namespace nodeward::cni
