// SPDX-License-Identifier: Apache-2.0
#include "agent/node_plugin.h"

#include <filesystem>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "cni/call.h"
#include "cni/file.h"

namespace nodeward::agent {
namespace {

// Beside this program, as the build and the image have it.
base::StatusOr<std::string> ProgramPath() {
  std::error_code error;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return base::ErrnoStatus(error.value(), "read /proc/self/exe");
  return (own.parent_path() / cni::kPluginName).string();
}

}  // namespace

base::StatusOr<std::unique_ptr<NodePlugin>> NodePlugin::Create(
    io::Loop& loop, const Config& config, kube::Source* source,
    cni::ToldSandboxes* sandboxes, std::function<model::SnapshotPtr()> steered,
    std::function<std::vector<capture::PodStatus>()> pods) {
  std::unique_ptr<NodePlugin> plugin(new NodePlugin(config, source, steered));
  PodStarts::Sight sight{
      .node = config.node,
      .steered = std::move(steered),
      .pods = std::move(pods),
      .tell =
          [sandboxes](const std::string& uid, cri::Sandbox sandbox) {
            sandboxes->Tell(uid, std::move(sandbox));
          },
      .look_up =
          [source](const std::string& name_space, const std::string& pod,
                   std::function<void(kube::PodObjects)> done) {
            source->LookUp(name_space, pod, std::move(done));
          },
      .knows_namespace =
          [source](const std::string& name_space) {
            return source->Namespaces().contains(name_space);
          }};
  plugin->starts_ = std::make_unique<PodStarts>(loop, std::move(sight));
  const std::string socket = config.run_dir + "/cni.sock";
  const std::string& daemonset = config.kubernetes_daemonset;
  NODEWARD_ASSIGN(const std::string program, ProgramPath());
  NODEWARD_ASSIGN(
      plugin->installer_,
      cni::Installer::Create(
          loop, {.configuration_dir = config.cni_conf_dir,
                 .program_dir = config.cni_bin_dir,
                 .program = program,
                 .socket = socket,
                 .agent_namespace = daemonset.substr(0, daemonset.find('/'))}));
  NODEWARD_ASSIGN(
      plugin->server_,
      cni::Server::Listen(loop, socket,
                          [raw = plugin.get()](const cni::Question& question,
                                               PodStarts::Reply reply) {
                            raw->starts_->Ask(question, std::move(reply));
                          },
                          {}));
  if (!config.cni_account.empty()) {
    source->KeepToken(
        config.cni_account,
        [raw = plugin.get(), alive = std::weak_ptr<bool>(plugin->alive_)](
            const std::string& token) {
          if (!alive.expired()) raw->OnToken(token);
        });
  }
  return plugin;
}

void NodePlugin::OnToken(const std::string& token) {
  if (left_) return;
  const auto roots = cni::ReadFile(config_.kubernetes_ca);
  if (!roots.ok()) {
    base::LogWarn("the CNI plugin gets no kubeconfig",
                  {{"error", std::string(roots.status().message())}});
    return;
  }
  installer_->SetKubeconfig({config_.kubernetes_api, *roots, token});
}

// Where a pod's own label opts it in, another one may be about to start.
cni::KnownNamespaces NodePlugin::Namespaces() const {
  cni::KnownNamespaces namespaces = source_->Namespaces();
  const model::SnapshotPtr snapshot = steered_();
  if (snapshot == nullptr) return namespaces;
  for (const auto& workload : snapshot->workloads) {
    if (workload->opted_in) namespaces[workload->name_space] = true;
  }
  return namespaces;
}

void NodePlugin::Update() {
  if (left_) return;
  installer_->SetNamespaces(Namespaces());
  installer_->Keep();
}

void NodePlugin::Leave() {
  left_ = true;
  installer_->RemoveEntry();
  starts_->Open();
}

std::string NodePlugin::problem() const {
  return left_ ? "" : installer_->problem();
}

}  // namespace nodeward::agent
