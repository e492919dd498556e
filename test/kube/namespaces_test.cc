// SPDX-License-Identifier: Apache-2.0
#include "kube/namespaces.h"

#include <gmock/gmock.h>

#include "base/text.h"

namespace nodeward::kube {
namespace {

using testing::ElementsAre;
using testing::Pair;

class Next final : public ObjectSink {
 public:
  void Put(base::Json object) override { told += "+" + KeyOf(object); }
  void Remove(const std::string& key) override { told += "-" + key; }
  void Synced(const absl::flat_hash_set<std::string>& keys) override {
    told += base::StrCat("=", keys.size());
  }
  std::string told;
};

base::Json Labelled(const std::string& name, const std::string& label) {
  return *base::ParseJson(base::StrCat(R"({"metadata":{"name":")", name,
                                       R"(","labels":{)", label, "}}}"));
}

TEST(NamespacesTest, NotesWhatItHandsOn) {
  Next next;
  Namespaces namespaces(&next);
  namespaces.Put(Labelled("a", R"("nodeward.io/mesh":"enabled")"));
  namespaces.Put(Labelled("b", R"("nodeward.io/mesh":"required")"));
  namespaces.Put(Labelled("c", R"("istio.io/dataplane-mode":"none")"));
  namespaces.Put(Labelled("d", ""));
  EXPECT_THAT(namespaces.opted_in(),
              ElementsAre(Pair("a", true), Pair("b", true), Pair("c", false),
                          Pair("d", false)));
  namespaces.Put(Labelled("a", ""));
  namespaces.Remove("b");
  namespaces.Synced({"a", "d"});
  EXPECT_THAT(namespaces.opted_in(),
              ElementsAre(Pair("a", false), Pair("d", false)));
  EXPECT_EQ(next.told, "+a+b+c+d+a-b=2");
}

}  // namespace
}  // namespace nodeward::kube
