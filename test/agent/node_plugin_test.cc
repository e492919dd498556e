// SPDX-License-Identifier: Apache-2.0
#include "agent/node_plugin.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "capture/loop_thread.h"
#include "cni/ask.h"
#include "cni/kubeconfig.h"

namespace nodeward::agent {
namespace {

using Kind = cni::Answer::Kind;
using testing::HasSubstr;

class FakeSource final : public kube::Source {
 public:
  base::Status Start(std::function<void(model::SnapshotPtr)>) override {
    return base::OkStatus();
  }
  void WantFiles(const std::set<model::FileSetKey>&) override {}
  void SetReady(bool) override {}
  void IsUninstalled(std::function<void(bool)> done) override { done(false); }
  void RemoveMarks(std::function<void()> done) override { done(); }
  void LookUp(const std::string&, const std::string&,
              std::function<void(kube::PodObjects)> done) override {
    kube::PodObjects objects;
    objects.pod_status = 404;
    objects.namespace_status = 200;
    objects.name_space = *base::ParseJson(R"({"metadata":{"name":"full"}})");
    done(objects);
  }
  std::map<std::string, bool> Namespaces() const override {
    return {{"full", true}, {"legacy", false}, {"some", false}};
  }
  void KeepToken(const std::string& account,
                 std::function<void(const std::string&)> renewed) override {
    account_ = account;
    renewed_ = std::move(renewed);
  }

  std::string account_;
  std::function<void(const std::string&)> renewed_;
};

class NoRuntime final : public cri::SandboxSource {
 public:
  void Start(std::function<void(const cri::Sandboxes&)>) override {}
  void Expect(std::set<std::string>) override {}
  std::string problem() const override { return ""; }
};

std::string Slurp(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class NodePluginTest : public testing::Test {
 protected:
  NodePluginTest() {
    std::string folder = "/tmp/nodeward-plugin-XXXXXX";
    folder_ = mkdtemp(folder.data());
    for (const char* name : {"/conf", "/bin", "/run"}) {
      mkdir((folder_ + name).c_str(), 0755);
    }
    std::ofstream(conflist()) << kList;
    std::ofstream(folder_ + "/roots") << "pem";
    config_.run_dir = folder_ + "/run";
    config_.kubernetes_daemonset = "sys/agent";
    config_.kubernetes_api = "https://10.96.0.1:443";
    config_.kubernetes_ca = folder_ + "/roots";
    config_.cni_conf_dir = folder_ + "/conf";
    config_.cni_bin_dir = folder_ + "/bin";
    config_.cni_account = "sys/cni";
  }
  void SetUp() override {
    loop_.Do([this] {
      auto plugin = NodePlugin::Create(
          loop_.loop(), config_, &source_, &sandboxes_,
          [this] { return steered_; },
          [] { return std::vector<capture::PodStatus>(); });
      ASSERT_TRUE(plugin.ok()) << plugin.status();
      plugin_ = *std::move(plugin);
    });
  }
  void TearDown() override {
    loop_.Do([this] { plugin_.reset(); });
    std::filesystem::remove_all(folder_);
  }
  void Steer(const std::string& name_space, bool opted_in) {
    auto workload = std::make_shared<model::Workload>();
    workload->name_space = name_space;
    workload->opted_in = opted_in;
    auto snapshot = std::make_shared<model::Snapshot>();
    snapshot->workloads = {std::move(workload)};
    loop_.Do([&] {
      steered_ = std::move(snapshot);
      plugin_->Update();
    });
  }
  cni::KnownNamespaces Noted() const {
    return *cni::ReadKnownNamespaces(
        Slurp(folder_ + "/conf/nodeward-cni.namespaces"));
  }
  std::string conflist() const { return folder_ + "/conf/10-pods.conflist"; }
  cni::Answer Ask() {
    // A namespace of nobody is needed, and this one exists.
    const auto answer = cni::AskAgent(folder_ + "/run/cni.sock",
                                      {.starts = true,
                                       .netns = "/proc/self/ns/net",
                                       .container_id = "c",
                                       .name_space = "full",
                                       .pod = "sleep",
                                       .uid = "u1",
                                       .ips = {}},
                                      absl::Minutes(1));
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.value_or(cni::Answer());
  }

  static constexpr char kList[] =
      R"({"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"bridge"}]})";
  std::string folder_;
  Config config_;
  FakeSource source_;
  cni::ToldSandboxes sandboxes_{std::make_unique<NoRuntime>()};
  model::SnapshotPtr steered_;
  capture::LoopThread loop_;
  std::unique_ptr<NodePlugin> plugin_;
};

TEST_F(NodePluginTest, InstallsWhenTheSourceHasTold) {
  EXPECT_EQ(Slurp(conflist()), kList);
  loop_.Do([this] { EXPECT_NE(plugin_->problem(), ""); });
  loop_.Do([this] { plugin_->Update(); });
  loop_.Do([this] { EXPECT_EQ(plugin_->problem(), ""); });
  EXPECT_THAT(Slurp(conflist()), HasSubstr(folder_ + "/run/cni.sock"));
  EXPECT_THAT(Slurp(conflist()), HasSubstr(R"("agentNamespace": "sys")"));
  EXPECT_THAT(Slurp(folder_ + "/conf/nodeward-cni.namespaces"),
              HasSubstr(R"("full": true)"));
  EXPECT_EQ(source_.account_, "sys/cni");
  loop_.Do([this] { source_.renewed_("t0k"); });
  const auto config =
      cni::ReadKubeconfig(Slurp(folder_ + "/conf/nodeward-cni.kubeconfig"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->token, "t0k");
  EXPECT_EQ(config->roots, "pem");
  EXPECT_EQ(config->server, "https://10.96.0.1:443");
}

TEST_F(NodePluginTest, NotesWhereAPodIsOptedInByItself) {
  Steer("some", false);
  EXPECT_EQ(Noted(), (cni::KnownNamespaces{
                         {"full", true}, {"legacy", false}, {"some", false}}));
  Steer("some", true);
  EXPECT_EQ(Noted(), (cni::KnownNamespaces{
                         {"full", true}, {"legacy", false}, {"some", true}}));
  Steer("some", false);
  EXPECT_FALSE(Noted().at("some"));
}

TEST_F(NodePluginTest, AnswersThePlugin) {
  EXPECT_EQ(Ask().kind, Kind::kRefused);
}

TEST_F(NodePluginTest, WhenItLeavesPodsStartWithoutIt) {
  loop_.Do([this] {
    plugin_->Update();
    plugin_->Leave();
    plugin_->Update();
    source_.renewed_("t0k");
    EXPECT_EQ(plugin_->problem(), "");
  });
  EXPECT_EQ(*base::ParseJson(Slurp(conflist())), *base::ParseJson(kList));
  EXPECT_EQ(Ask().kind, Kind::kOutside);
  EXPECT_FALSE(
      std::filesystem::exists(folder_ + "/conf/nodeward-cni.kubeconfig"));
}

TEST_F(NodePluginTest, AnOldTokenComesTooLate) {
  loop_.Do([this] { plugin_.reset(); });
  loop_.Do([this] { source_.renewed_("t0k"); });
}

}  // namespace
}  // namespace nodeward::agent
