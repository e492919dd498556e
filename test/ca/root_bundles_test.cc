// SPDX-License-Identifier: Apache-2.0
#include "ca/root_bundles.h"

#include <gmock/gmock.h>

#include "kube/kubernetes_fixture.h"

namespace nodeward::ca {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Namespaces(const std::string& name = "") {
  return "/api/v1/namespaces" + (name.empty() ? "" : "/" + name);
}
std::string Bundle(const std::string& name_space) {
  return Namespaces(name_space) + "/configmaps/roots";
}

class RootBundlesTest : public kube::KubernetesTest {
 protected:
  void TearDown() override {
    loop_.Do([&] { bundles_.reset(); });
    kube::KubernetesTest::TearDown();
  }
  void MakeNamespace(const std::string& name, const std::string& labels) {
    ASSERT_EQ(Do("POST", Namespaces(),
                 R"({"metadata":{"name":")" + name + R"(","labels":{)" +
                     labels + "}}}"),
              201);
  }
  void Label(const std::string& name, const std::string& labels) {
    ASSERT_EQ(Do("PATCH", Namespaces(name),
                 R"({"metadata":{"labels":{)" + labels + "}}}"),
              200);
  }
  void Start(bool namespaces = true) {
    loop_.Do([&] {
      bundles_ = std::make_unique<RootBundles>(
          loop_.loop(), client_.get(),
          RootBundles::Options{.place = {"system", "roots"},
                               .namespaces = namespaces,
                               .patience = patience_},
          [] { return 0.0; });
      bundles_->Set("one\n");
    });
  }
  // What is there; "none".
  std::string RootsIn(const std::string& name_space) {
    const base::Json found = Get(Bundle(name_space));
    return found.is_null() ? "none"
                           : base::GetString(base::GetMember(found, "data"),
                                             "root-cert.pem", "nothing");
  }
  void AwaitRoots(const std::string& name_space, const std::string& roots) {
    Await([&] { return RootsIn(name_space) == roots; });
    EXPECT_EQ(RootsIn(name_space), roots);
  }
  void AwaitPublished() {
    AwaitOnLoop([&] { return bundles_->published(); });
  }

  absl::Duration patience_ = absl::ZeroDuration();
  std::unique_ptr<RootBundles> bundles_;
};

TEST_F(RootBundlesTest, OneInEachNamespaceThatHasOptedIn) {
  MakeNamespace("full", R"("nodeward.io/mesh":"enabled")");
  MakeNamespace("must", R"("nodeward.io/mesh":"required")");
  MakeNamespace("ambient", R"("istio.io/dataplane-mode":"ambient")");
  MakeNamespace("out", R"("istio.io/dataplane-mode":"ambient",
                          "nodeward.io/mesh":"disabled")");
  MakeNamespace("plain", "");
  MakeNamespace("kube-system", R"("nodeward.io/mesh":"enabled")");
  Start();
  AwaitPublished();
  for (const char* name : {"system", "full", "must", "ambient"}) {
    EXPECT_EQ(RootsIn(name), "one\n") << name;
  }
  for (const char* name : {"out", "plain", "kube-system"}) {
    EXPECT_EQ(RootsIn(name), "none") << name;
  }
  EXPECT_EQ(Get(Bundle("full"))["metadata"]["labels"].dump(),
            R"({"app.kubernetes.io/managed-by":"nodeward-ca"})");
  // Whoever made that one may have labelled it.
  EXPECT_FALSE(Get(Bundle("system"))["metadata"].contains("labels"));
  EXPECT_THAT(Requests(), Not(HasSubstr("GET /api/v1/configmaps ")));
  loop_.Do([&] { bundles_->Set("two\n"); });
  AwaitRoots("ambient", "two\n");
  AwaitPublished();
  EXPECT_EQ(RootsIn("system"), "two\n");
  EXPECT_EQ(RootsIn("full"), "two\n");
}

TEST_F(RootBundlesTest, WhatSomebodyChangesOrDeletesIsMended) {
  MakeNamespace("full", R"("nodeward.io/mesh":"enabled")");
  Start();
  AwaitPublished();
  for (const char* name : {"full", "system"}) {
    ASSERT_EQ(Do("PATCH", Bundle(name),
                 R"({"data":{"root-cert.pem":"mine","more":"stays"}})"),
              200);
    AwaitRoots(name, "one\n");
    EXPECT_EQ(Get(Bundle(name))["data"]["more"], "stays");
    ASSERT_EQ(Do("DELETE", Bundle(name)), 200);
    AwaitRoots(name, "one\n");
  }
}

TEST_F(RootBundlesTest, ALabelBringsItAndTakesItAway) {
  MakeNamespace("full", "");
  Start();
  AwaitPublished();
  EXPECT_EQ(RootsIn("full"), "none");
  Label("full", R"("nodeward.io/mesh":"enabled")");
  AwaitRoots("full", "one\n");
  Label("full", R"("nodeward.io/mesh":null)");
  AwaitRoots("full", "none");
  Label("full", R"("istio.io/dataplane-mode":"ambient")");
  AwaitRoots("full", "one\n");
  EXPECT_EQ(RootsIn("system"), "one\n");
}

TEST_F(RootBundlesTest, SomebodyElsesIsLeftAlone) {
  MakeNamespace("full", R"("nodeward.io/mesh":"enabled")");
  MakeNamespace("gone", "");
  for (const char* name : {"full", "gone"}) {
    ASSERT_EQ(Do("POST", Namespaces(name) + "/configmaps",
                 R"({"metadata":{"name":"roots"},)"
                 R"("data":{"root-cert.pem":"theirs"}})"),
              201);
  }
  Start();
  AwaitPublished();
  EXPECT_EQ(RootsIn("full"), "theirs");
  EXPECT_EQ(RootsIn("gone"), "theirs");
  // Once they take theirs away ours comes.
  ASSERT_EQ(Do("DELETE", Bundle("full")), 200);
  AwaitRoots("full", "one\n");
  EXPECT_EQ(RootsIn("gone"), "theirs");
}

TEST_F(RootBundlesTest, ANamespaceThatEndsGetsNone) {
  MakeNamespace("full", R"("nodeward.io/mesh":"enabled")");
  ASSERT_EQ(Do("PATCH", Namespaces("full"),
               R"({"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}})"),
            200);
  Start();
  AwaitPublished();
  EXPECT_EQ(RootsIn("full"), "none");
}

TEST_F(RootBundlesTest, ForTheAgentsAloneItAsksForNoMore) {
  MakeNamespace("full", R"("nodeward.io/mesh":"enabled")");
  Start(false);
  AwaitPublished();
  EXPECT_EQ(RootsIn("system"), "one\n");
  EXPECT_EQ(RootsIn("full"), "none");
  EXPECT_EQ(Asked("GET /api/v1/namespaces?"), 0u);
  EXPECT_EQ(Asked("GET /api/v1/configmaps"), 0u);
}

TEST_F(RootBundlesTest, WhatAnUninstallationTookIsNotMadeAnewAtOnce) {
  patience_ = absl::Hours(1);
  MakeNamespace("full", R"("nodeward.io/mesh":"enabled")");
  ASSERT_EQ(Do("POST", Namespaces("system") + "/configmaps",
               R"({"metadata":{"name":"roots"}})"),
            201);
  Start();
  AwaitRoots("system", "one\n");
  ASSERT_EQ(Do("DELETE", Bundle("system")), 200);
  AwaitRoots("full", "one\n");
  ASSERT_EQ(Do("DELETE", Bundle("full")), 200);
  AwaitRoots("full", "one\n");  // it has seen the first, too
  EXPECT_EQ(RootsIn("system"), "none");
}

TEST_F(RootBundlesTest, TriesUntilItMay) {
  MakeNamespace("full", R"("nodeward.io/mesh":"enabled")");
  Refuse(R"({"PATCH": 403})");
  Start();
  Await([&] { return Asked("PATCH") >= 4; });
  bool published = true;
  loop_.Do([&] { published = bundles_->published(); });
  EXPECT_FALSE(published);
  Refuse("");
  AwaitRoots("full", "one\n");
  AwaitRoots("system", "one\n");
}

}  // namespace
}  // namespace nodeward::ca
