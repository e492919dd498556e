// SPDX-License-Identifier: Apache-2.0
#include "kube/list_scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nodeward::kube {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kList[] =
    R"({"kind":"PodList","metadata":{"resourceVersion":"7","items":[1]},)"
    R"("items": [ {"a":"]}\"{"} , {"b":[{"c":{}}],"items":[{"d":1}]} ],)"
    R"("last":"items"})";

TEST(ListScanner, CutsItemsOutHoweverTheBytesArrive) {
  for (size_t step = 1; step <= sizeof(kList); ++step) {
    std::vector<std::string> items;
    ListScanner scanner(
        [&](std::string_view item) { items.emplace_back(item); });
    const std::string_view text = kList;
    for (size_t at = 0; at < text.size(); at += step) {
      ASSERT_TRUE(scanner.Feed(text.substr(at, step)));
    }
    EXPECT_THAT(items, ElementsAre(R"({"a":"]}\"{"})",
                                   R"({"b":[{"c":{}}],"items":[{"d":1}]})"));
    const auto rest = scanner.Finish();
    ASSERT_TRUE(rest.ok()) << rest.status();
    EXPECT_EQ(
        base::GetString(base::GetMember(*rest, "metadata"), "resourceVersion"),
        "7");
    EXPECT_THAT(base::GetMember(*rest, "items"), IsEmpty());
  }
}

TEST(ListScanner, TellsACutOffList) {
  for (const char* text : {"", "{", R"({"items":[{"a":1})", R"({"items":[)",
                           "[]", R"({"a)", "{}}"}) {
    ListScanner scanner([](std::string_view) {});
    scanner.Feed(text);
    EXPECT_FALSE(scanner.Finish().ok()) << text;
  }
}

TEST(ListScanner, NoItemsAreAListToo) {
  ListScanner scanner([](std::string_view item) { FAIL() << item; });
  EXPECT_TRUE(scanner.Feed(R"({"items":null,"metadata":{}})"));
  EXPECT_TRUE(scanner.Finish().ok());
}

TEST(ListScanner, AnItemBeyondAllMeasureIsRefused) {
  ListScanner scanner([](std::string_view) {});
  EXPECT_TRUE(scanner.Feed(R"({"items":[{"a":")"));
  EXPECT_FALSE(scanner.Feed(std::string((16 << 20) + 1, 'x')));
  EXPECT_FALSE(scanner.Finish().ok());
}

}  // namespace
}  // namespace nodeward::kube
