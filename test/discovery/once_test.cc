// SPDX-License-Identifier: Apache-2.0
#include "discovery/once.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace nodeward::discovery {
namespace {

using ::testing::HasSubstr;

class OnceTest : public ::testing::Test {
 protected:
  OnceTest() {
    std::string name = ::testing::TempDir() + "nodeward-once-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~OnceTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void Write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(
        std::filesystem::path(folder_ + "/" + name).parent_path());
    std::ofstream(folder_ + "/" + name) << text;
  }
  static std::string PodText(const std::string& name) {
    return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\n";
  }
  std::string folder_;
};

TEST_F(OnceTest, ReadsADirectoryRecursivelyAndWhoeverOwnsIt) {
  Write("b.yaml", PodText("b"));
  Write("sub/a.json",
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":"
        "{\"name\":\"a\"}}");
  Write("notes.txt", "not: [a manifest");
  Write(".hidden/c.yaml", PodText("c"));
  Write(".d.yaml", PodText("d"));
  Write("empty.yaml", "");
  chmod((folder_ + "/b.yaml").c_str(), 0666);
  chmod(folder_.c_str(), 0777);
  const auto snapshot = ReadOnce({.directory = folder_});
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  ASSERT_EQ((*snapshot)->workloads.size(), 2u);
  EXPECT_EQ((*snapshot)->workloads[0]->name, "a");
  EXPECT_EQ((*snapshot)->workloads[1]->name, "b");
  EXPECT_TRUE((*snapshot)->problems.empty());
}

TEST_F(OnceTest, ReadsOneFileOfAnyName) {
  Write("policies.txt",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        "metadata: {name: p, namespace: foo}\nspec: {action: DENY}\n");
  const std::string file = folder_ + "/policies.txt";
  const auto snapshot = ReadOnce({.directory = file});
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  ASSERT_EQ((*snapshot)->problems.size(), 1u);
  EXPECT_EQ((*snapshot)->problems[0].file, file);
  EXPECT_TRUE((*snapshot)->problems[0].flaw);
  EXPECT_TRUE((*snapshot)->problems[0].closes);
}

TEST_F(OnceTest, TakesTheOptions) {
  Write("a.yaml",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        "metadata: {name: p, namespace: root}\n");
  const auto snapshot =
      ReadOnce({.directory = folder_,
                .trust_domain = "td",
                .trust_domain_aliases = {"old"},
                .root_namespace = "root",
                .path_normalization = model::PathNormalization::kNone});
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ((*snapshot)->trust_domain, "td");
  EXPECT_EQ((*snapshot)->trust_domain_aliases, std::vector<std::string>{"old"});
  EXPECT_EQ((*snapshot)->path_normalization, model::PathNormalization::kNone);
  ASSERT_EQ((*snapshot)->authorization_policies.size(), 1u);
  EXPECT_TRUE((*snapshot)->authorization_policies[0]->mesh_wide);
}

TEST_F(OnceTest, WhatIsNotThereIsAnError) {
  const auto snapshot = ReadOnce({.directory = folder_ + "/nowhere"});
  ASSERT_FALSE(snapshot.ok());
  EXPECT_THAT(std::string(snapshot.status().message()),
              HasSubstr(folder_ + "/nowhere"));
}

TEST(ReadTextsTest, TellsWhatIsBrokenAndUsesTheRest) {
  const auto snapshot = ReadTexts(
      {R"({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [
          {"metadata": {"name": "a", "namespace": "n"}},
          {"metadata": {"name": "b", "namespace": "n"}}]})",
       R"({"kind": "Namespace", "apiVersion": "v1", "metadata":
          {"name": "n", "labels": {"nodeward.io/mesh": "enabled"}}})",
       "{"},
      {.directory = "here"});
  ASSERT_EQ(snapshot->workloads.size(), 2u);
  EXPECT_TRUE(snapshot->workloads[1]->in_mesh());
  ASSERT_EQ(snapshot->problems.size(), 1u);
  EXPECT_EQ(snapshot->problems[0].file, "here (3)");
}

}  // namespace
}  // namespace nodeward::discovery
