// SPDX-License-Identifier: Apache-2.0
#include "cni/installer.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "base/json.h"
#include "capture/loop_thread.h"
#include "cni/folder.h"

namespace nodeward::cni {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr char kList[] =
    R"({"cniVersion":"0.4.0","name":"pods","plugins":[{"type":"bridge"}]})";

std::vector<std::string> TypesOf(const std::string& text) {
  std::vector<std::string> types;
  const auto json = base::ParseJson(text);
  if (!json.ok()) return types;
  for (const base::Json& plugin : base::GetMember(*json, "plugins")) {
    types.push_back(base::GetString(plugin, "type"));
  }
  return types;
}

class InstallerTest : public testing::Test {
 protected:
  InstallerTest() { source_.Write("program", "binary"); }
  void SetUp() override {
    loop_.Do([this] {
      auto installer =
          Installer::Create(loop_.loop(), {.configuration_dir = conf_.path(),
                                           .program_dir = bin_.path(),
                                           .program = source_ / "program",
                                           .socket = "/run/s",
                                           .agent_namespace = "sys"});
      ASSERT_TRUE(installer.ok()) << installer.status();
      installer_ = *std::move(installer);
    });
  }
  void TearDown() override {
    loop_.Do([this] { installer_.reset(); });
  }
  void Keep() {
    loop_.Do([this] { installer_->Keep(); });
  }
  std::string Problem() {
    std::string problem;
    loop_.Do([&] { problem = installer_->problem(); });
    return problem;
  }
  bool HasEntry(const std::string& file) {
    const auto types = TypesOf(conf_.Read(file));
    return !types.empty() && types.back() == "nodeward-cni";
  }
  base::StatusOr<std::vector<std::string>> Remove() {
    return RemovePlugin(conf_.path(), bin_.path());
  }

  const Folder conf_, bin_, source_;
  capture::LoopThread loop_;
  std::unique_ptr<Installer> installer_;
};

TEST_F(InstallerTest, NothingBeforeItIsKept) {
  conf_.Write("10-pods.conflist", kList);
  EXPECT_EQ(Problem(), "the CNI plugin is not installed yet");
  loop_.Do([this] { installer_->SetNamespaces({{"a", true}}); });
  EXPECT_THAT(conf_.Names(), ElementsAre("10-pods.conflist"));
  EXPECT_THAT(bin_.Names(), IsEmpty());
  EXPECT_EQ(conf_.Read("10-pods.conflist"), kList);
}

TEST_F(InstallerTest, Installs) {
  conf_.Write("10-pods.conflist", kList);
  conf_.Write("20-other.conflist", kList);
  conf_.Write("00-broken.conflist", "{");
  ASSERT_EQ(chmod((conf_ / "10-pods.conflist").c_str(), 0640), 0);
  loop_.Do([this] {
    installer_->SetNamespaces({{"a", true}});
    installer_->SetKubeconfig({"https://10.96.0.1", "pem", "t0k"});
  });
  Keep();
  EXPECT_EQ(Problem(), "");
  EXPECT_EQ(bin_.Read("nodeward-cni"), "binary");
  EXPECT_EQ(bin_.ModeOf("nodeward-cni"), 0755);
  EXPECT_THAT(TypesOf(conf_.Read("10-pods.conflist")),
              ElementsAre("bridge", "nodeward-cni"));
  EXPECT_EQ(conf_.ModeOf("10-pods.conflist"), 0640);
  EXPECT_EQ(conf_.Read("20-other.conflist"), kList);
  const auto json = *base::ParseJson(conf_.Read("10-pods.conflist"));
  const base::Json& entry = json["plugins"][1];
  EXPECT_EQ(entry["socket"], "/run/s");
  EXPECT_EQ(entry["agentNamespace"], "sys");
  EXPECT_EQ(*ReadKnownNamespaces(conf_.Read("nodeward-cni.namespaces")),
            (KnownNamespaces{{"a", true}}));
  EXPECT_EQ(entry["namespaces"], conf_ / "nodeward-cni.namespaces");
  EXPECT_EQ(ReadKubeconfig(conf_.Read("nodeward-cni.kubeconfig"))->token,
            "t0k");
  EXPECT_EQ(entry["kubeconfig"], conf_ / "nodeward-cni.kubeconfig");
  EXPECT_EQ(conf_.ModeOf("nodeward-cni.kubeconfig"), 0600);
}

TEST_F(InstallerTest, WhatItGoesByIsKeptCurrent) {
  conf_.Write("10-pods.conflist", kList);
  Keep();
  EXPECT_EQ(conf_.Read("nodeward-cni.namespaces"), "");
  loop_.Do([this] {
    installer_->SetNamespaces({{"a", true}});
    installer_->SetNamespaces({{"a", false}});
    installer_->SetKubeconfig({"https://10.96.0.1", "pem", "second"});
  });
  EXPECT_EQ(*ReadKnownNamespaces(conf_.Read("nodeward-cni.namespaces")),
            (KnownNamespaces{{"a", false}}));
  EXPECT_EQ(ReadKubeconfig(conf_.Read("nodeward-cni.kubeconfig"))->token,
            "second");
}

TEST_F(InstallerTest, ComesBackWhenAnotherOneWrites) {
  conf_.Write("10-pods.conflist", kList);
  Keep();
  ASSERT_TRUE(HasEntry("10-pods.conflist"));
  // In place, by a rename, and under another name.
  conf_.Write("10-pods.conflist", kList);
  Await([this] { return HasEntry("10-pods.conflist"); });
  source_.Write("new", kList);
  ASSERT_EQ(
      rename((source_ / "new").c_str(), (conf_ / "10-pods.conflist").c_str()),
      0);
  Await([this] { return HasEntry("10-pods.conflist"); });
  source_.Write("new", kList);
  ASSERT_EQ(
      rename((source_ / "new").c_str(), (conf_ / "05-new.conflist").c_str()),
      0);
  Await([this] {
    return HasEntry("05-new.conflist") && !HasEntry("10-pods.conflist");
  });
  EXPECT_EQ(Problem(), "");
}

TEST_F(InstallerTest, AProgramThatIsTakenAwayComesBack) {
  conf_.Write("10-pods.conflist", kList);
  Keep();
  ASSERT_EQ(unlink((bin_ / "nodeward-cni").c_str()), 0);
  // The next look is at hand.
  loop_.Do([this] { installer_->SetNamespaces({{"a", true}}); });
  EXPECT_EQ(bin_.Read("nodeward-cni"), "binary");
  bin_.Write("nodeward-cni", "broken");
  loop_.Do([this] { installer_->SetNamespaces({{"b", true}}); });
  EXPECT_EQ(bin_.Read("nodeward-cni"), "binary");
}

TEST_F(InstallerTest, WaitsForTheFirstConfiguration) {
  Keep();
  EXPECT_THAT(Problem(), HasSubstr("CNI plugin: no network configuration in " +
                                   conf_.path()));
  conf_.Write("10-pods.conflist", kList);
  Await([this] { return HasEntry("10-pods.conflist"); });
  Await([this] { return Problem().empty(); });
}

TEST_F(InstallerTest, ASinglePluginBecomesAList) {
  const std::string single =
      R"({"cniVersion":"0.3.1","name":"net","type":"bridge"})";
  conf_.Write("10-net.conf", single);
  Keep();
  EXPECT_EQ(Problem(), "");
  EXPECT_THAT(TypesOf(conf_.Read("10-net.conflist")),
              ElementsAre("bridge", "nodeward-cni"));
  EXPECT_EQ(conf_.Read("10-net.conf"), "");
  // Its owner writes it anew.
  conf_.Write("10-net.conf",
              R"({"cniVersion":"0.3.1","name":"net","type":"macvlan"})");
  Await([this] { return conf_.Read("10-net.conf").empty(); });
  EXPECT_THAT(TypesOf(conf_.Read("10-net.conflist")),
              ElementsAre("macvlan", "nodeward-cni"));
  ASSERT_TRUE(Remove().ok());
  loop_.Do([this] { installer_->RemoveEntry(); });
  EXPECT_THAT(conf_.Read("10-net.conf"), HasSubstr("macvlan"));
  EXPECT_THAT(conf_.Names(), ElementsAre("10-net.conf"));
}

TEST_F(InstallerTest, TellsWhatItCannotDo) {
  conf_.Write("10-pods.conflist", kList);
  ASSERT_EQ(unlink((source_ / "program").c_str()), 0);
  Keep();
  EXPECT_THAT(Problem(), HasSubstr("open " + (source_ / "program")));
  // A program that is not there must not be called.
  EXPECT_FALSE(HasEntry("10-pods.conflist"));
}

TEST_F(InstallerTest, RemovesTheEntryFirst) {
  conf_.Write("10-pods.conflist", kList);
  loop_.Do([this] { installer_->SetNamespaces({{"a", true}}); });
  Keep();
  loop_.Do([this] { installer_->RemoveEntry(); });
  EXPECT_THAT(TypesOf(conf_.Read("10-pods.conflist")), ElementsAre("bridge"));
  EXPECT_EQ(bin_.Read("nodeward-cni"), "binary");
  EXPECT_EQ(Problem(), "");
  const auto removed = Remove();
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_THAT(*removed, UnorderedElementsAre(
                            "file " + (conf_ / "nodeward-cni.namespaces"),
                            "file " + (bin_ / "nodeward-cni")));
  EXPECT_THAT(conf_.Names(), ElementsAre("10-pods.conflist"));
  EXPECT_THAT(bin_.Names(), IsEmpty());
}

TEST_F(InstallerTest, RemovesEverything) {
  conf_.Write("10-pods.conflist", kList);
  Keep();
  loop_.Do([this] { installer_.reset(); });
  auto removed = Remove();
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_THAT(*removed, ElementsAre("entry in " + (conf_ / "10-pods.conflist"),
                                    "file " + (bin_ / "nodeward-cni")));
  EXPECT_EQ(*base::ParseJson(conf_.Read("10-pods.conflist")),
            *base::ParseJson(kList));
  removed = Remove();
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_THAT(*removed, IsEmpty());
  removed = RemovePlugin("/nowhere/conf", "/nowhere/bin");
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_THAT(*removed, IsEmpty());
}

}  // namespace
}  // namespace nodeward::cni
