// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <malloc.h>
#include <signal.h>

#include <set>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "nodeward/version.h"
#include "policy/verdict.h"

namespace nodeward::agent {
namespace {

constexpr absl::Duration kRefreshInterval = absl::Seconds(1);
constexpr absl::Duration kTrimDelay = absl::Seconds(2);
constexpr absl::Duration kTrimInterval = absl::Minutes(1);
constexpr absl::Duration kScrapeWait = absl::Seconds(1);

std::set<model::Identity> LocalIdentities(const model::Snapshot& snapshot,
                                          const std::string& node) {
  std::set<model::Identity> identities;
  for (const auto& workload : snapshot.workloads) {
    if (workload->node == node && workload->in_mesh()) {
      identities.insert(workload->identity);
    }
  }
  return identities;
}

}  // namespace

Agent::Agent(const Config& config) : config_(config), started_(absl::Now()) {}

Agent::~Agent() {
  // The workers call back into the recorder and post to the loop: they go
  // first, whatever the order of members says.
  plugin_.reset();
  source_.reset();
  enroller_.reset();
  engine_.reset();
  if (recorder_ != nullptr) recorder_->Flush();
}

base::StatusOr<std::unique_ptr<Agent>> Agent::Start(const Config& config) {
  std::unique_ptr<Agent> agent(new Agent(config));
  NODEWARD_TRY(agent->Build());
  return agent;
}

base::Status Agent::Run() {
  base::LogInfo("agent started",
                {{"node", config_.node},
                 {"version", kVersion},
                 {"trust_domain", config_.trust_domain},
                 {"source", config_.kubernetes ? config_.kubernetes_api
                                               : config_.manifests}});
  loop_->Run();
  if (leaving_) RemoveFromNode();
  base::LogInfo("agent stopped", {{"node", config_.node}});
  return failure_;
}

void Agent::LogNewProblems(const std::vector<model::Problem>& before,
                           const std::vector<model::Problem>& now) {
  std::set<std::string> known;
  for (const model::Problem& problem : before) {
    known.insert(problem.ToString());
  }
  for (const model::Problem& problem : now) {
    std::string text = problem.ToString();
    if (known.contains(text)) continue;
    base::LogWarn("source problem", {{"what", std::move(text)}});
  }
}

void Agent::OnSnapshot(const model::SnapshotPtr& snapshot) {
  if (leaving_) return;
  LogNewProblems(
      latest_ == nullptr ? std::vector<model::Problem>() : latest_->problems,
      snapshot->problems);
  latest_ = snapshot;
  const auto file_problems = client_files_.problems();
  engine_->SetClientMaterials(client_files_.Read(*snapshot, config_.node));
  LogNewProblems(file_problems, client_files_.problems());
  if (kubernetes_ != nullptr) kubernetes_->WantFiles(client_files_.wanted());
  trim_->Set(kTrimDelay);
  metrics_->DropWorkloads(*snapshot);
  renewer_->SetWanted(LocalIdentities(*snapshot, config_.node));
  engine_->SetSnapshot(snapshot, [this, snapshot] {
    loop_->Post([this, snapshot] { Steer(snapshot); });
  });
}

void Agent::Steer(model::SnapshotPtr snapshot) {
  // A newer one is on its way and brings the kernel further than this.
  if (stopping_ || snapshot != latest_) return;
  decided_ = snapshot;
  if (enroller_ == nullptr) return;  // its turn has not come
  enroller_->Apply(snapshot);
  steered_ = std::move(snapshot);
  if (plugin_ != nullptr && !leaving_) plugin_->Update();
  TellEnrolled();
  Refresh();
}

void Agent::TellEnrolled() {
  if (leaving_) return;
  source_->SetEnrolled(enroller_->Enrolled());
}

void Agent::OnSignal(int signal) {
  if ((stopping_ && !yielded_) || signalled_) {
    base::LogWarn("second signal, stopping at once", {});
    loop_->Stop();
    return;
  }
  signalled_ = true;
  signal_ = signal;
  base::LogInfo("asked to stop",
                {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
  if (yielded_) return EndWhenDone();
  if (enroller_ == nullptr) return loop_->Stop();  // its turn has not come
  readiness_.Set({"stopping"});
  // Its outcome tells: yielded, or to be stopped like any other.
  if (taker_ == nullptr) BeginStop();
}

void Agent::BeginStop() {
  if (kubernetes_ == nullptr || signal_ != SIGTERM) return Stop();
  kubernetes_->IsUninstalled(
      [this](bool uninstalled) { uninstalled ? Leave() : Stop(); });
}

void Agent::Refresh() {
  refresh_->Set(kRefreshInterval);
  if (stopping_ || signalled_ || enroller_ == nullptr) return;
  const std::vector<std::string> unready = UnreadyReasons();
  readiness_.Set(unready);
  if (kubernetes_ != nullptr) kubernetes_->SetReady(unready.empty());
  TellEnrolled();
}

// What was read and enrolled has left the heap full of holes; it is given back
// once things are quiet, and seldom, for the workers wait for it meanwhile.
void Agent::TrimHeap() {
  const absl::Time now = absl::Now();
  if (now < next_trim_) return trim_->Set(next_trim_ - now);
  next_trim_ = now + kTrimInterval;
  malloc_trim(0);
}

std::string Agent::Scrape() {
  const auto fresh = std::make_shared<absl::Notification>();
  loop_->Post([this, fresh] {
    RefreshMetrics();
    fresh->Notify();
  });
  // A control loop that is busy or has ended must not keep the scrape.
  fresh->WaitForNotificationWithTimeout(kScrapeWait);
  return metrics_->Text();
}

void Agent::RefreshMetrics() {
  if (enroller_ == nullptr) return;  // handed over meanwhile
  metrics_->SetSourceProblems(static_cast<int64_t>(
      source_->problems().size() +
      (latest_ == nullptr ? 0 : latest_->problems.size())));
  metrics_->SetBpfVerdicts(enroller_->Counters());
  std::vector<std::pair<std::string, absl::Time>> certificates;
  for (const auto& certificate : renewer_->status()) {
    if (certificate.state == identity::CertificateState::kPending) continue;
    certificates.emplace_back(certificate.identity.ToSpiffe(),
                              certificate.not_after);
  }
  metrics_->SetCertificates(certificates);
  absl::flat_hash_map<std::string, int> pods;
  for (const auto& pod : enroller_->status()) {
    ++pods[std::string(capture::PodStateText(pod.state))];
  }
  metrics_->SetPods(pods);
  const auto load = engine_->load();
  metrics_->SetLoad(load.connections, load.tunnels, load.buffered_bytes);
}

}  // namespace nodeward::agent
