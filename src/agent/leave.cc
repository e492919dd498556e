// SPDX-License-Identifier: Apache-2.0
//
// The end of an agent whose DaemonSet was deleted: the node is left as if there
// had been none.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "agent/agent.h"
#include "base/log.h"
#include "cni/installer.h"

namespace nodeward::agent {
namespace {

constexpr absl::Duration kLeaveInterval = absl::Milliseconds(50);
// What the kernel may take, beyond what connections may.
constexpr absl::Duration kLeaveGrace = absl::Seconds(5);

}  // namespace

void Agent::Leave() {
  base::LogInfo("uninstalled; every pod leaves the mesh",
                {{"drain", absl::FormatDuration(config_.drain)}});
  leave_by_ = absl::Now() + config_.drain;
  if (plugin_ != nullptr) plugin_->Leave();
  kubernetes_->RemoveMarks([this] { marks_removed_ = true; });
  auto snapshot = std::make_shared<model::Snapshot>();
  if (latest_ != nullptr) *snapshot = *latest_;
  for (auto& workload : snapshot->workloads) {
    auto left = std::make_shared<model::Workload>(*workload);
    left->membership = model::Membership::kNotOptedIn;
    left->membership_reason = std::string("nodeward is being uninstalled");
    left->opted_in = false;
    workload = std::move(left);
  }
  snapshot->Finish();
  OnSnapshot(snapshot);
  leaving_ = true;
  leave_ = std::make_unique<io::Timer>(*loop_, [this] { AwaitLeave(); });
  AwaitLeave();
}

// Until the last pod's connections have ended, or their time is up.
void Agent::AwaitLeave() {
  const auto pods = enroller_->status();
  const bool left = std::all_of(pods.begin(), pods.end(), [](const auto& pod) {
    return pod.state == capture::PodState::kSkipped;
  });
  const bool done = left && steered_ == latest_ && marks_removed_;
  if (!done && absl::Now() < leave_by_ + kLeaveGrace) {
    return leave_->Set(kLeaveInterval);
  }
  stopping_ = true;
  engine_->Drain(absl::ZeroDuration(), [this] { loop_->Stop(); });
}

void Agent::RemoveFromNode() {
  plugin_.reset();
  source_.reset();
  enroller_.reset();
  engine_.reset();
  auto removed = capture::RemoveEverything(config_.bpf_dir);
  if (removed.ok() && !config_.cni_conf_dir.empty()) {
    const auto files =
        cni::RemovePlugin(config_.cni_conf_dir, config_.cni_bin_dir);
    if (files.ok()) {
      removed->insert(removed->end(), files->begin(), files->end());
    } else {
      removed = files.status();
    }
  }
  if (!removed.ok()) {
    base::LogError(
        "not everything of nodeward could be removed from this "
        "node; run nodeward uninstall --node",
        {{"error", std::string(removed.status().message())}});
    return;
  }
  for (const std::string& what : *removed) {
    base::LogInfo("removed from this node", {{"what", what}});
  }
}

}  // namespace nodeward::agent
