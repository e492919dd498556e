// SPDX-License-Identifier: Apache-2.0
//
// An agent that finds another one on its node and is to take over from it: gets
// everything ready beside it, and then its sockets. Whatever fails on the way
// leaves the other serving.
#include <memory>
#include <set>
#include <utility>

#include "absl/time/clock.h"
#include "admin/control.h"
#include "agent/agent.h"
#include "base/log.h"
#include "base/text.h"
#include "io/socket.h"
#include "kernel/hooks.h"
#include "nodeward/version.h"

namespace nodeward::agent {
namespace {

using base::Json;
using base::StrCat;

constexpr absl::Duration kTurnInterval = absl::Milliseconds(100);
// After a refusal that may pass, and after one that will not.
constexpr absl::Duration kAskAgain = absl::Seconds(1);
constexpr absl::Duration kAskRarely = absl::Seconds(30);
constexpr absl::Duration kConnectPatience = absl::Seconds(5);

}  // namespace

void Agent::AwaitTurn() {
  if (signalled_) return;
  turn_->Set(kTurnInterval);
  auto free = admin::RunDir::Open(config_.run_dir);
  if (free.ok()) {
    run_dir_ = *std::move(free);
    turn_->Cancel();
    base::LogInfo("the other agent has ended; this one serves", {});
    base::Status status = BeginServing(nullptr);
    return status.ok() ? Refresh() : Fail(std::move(status));
  }
  if (!absl::IsAlreadyExists(free.status())) return Fail(free.status());
  const std::vector<std::string> missing = MissingToServe();
  if (!missing.empty()) return SayWaiting(missing.front());
  if (absl::Now() < ask_again_) return;
  base::Status status = TakeOver();
  if (status.ok()) return turn_->Cancel();
  const bool final = absl::IsFailedPrecondition(status);
  if (enroller_ != nullptr || !(final || absl::IsUnavailable(status))) {
    return Fail(std::move(status));
  }
  // Also after a final one: the other may end, and then it is this one's turn.
  ask_again_ = absl::Now() + (final ? kAskRarely : kAskAgain);
  SayWaiting(std::string(status.message()));
}

void Agent::SayWaiting(const std::string& why) {
  if (why == waits_for_) return;
  waits_for_ = why;
  base::LogInfo("waits to take over from the agent of this node",
                {{"for", why}});
}

void Agent::Fail(base::Status why) {
  // The socket, if it came so far, is the other agent's.
  if (control_ != nullptr && former_ != nullptr) control_->LeaveSocket();
  failure_ = std::move(why);
  loop_->Stop();
}

std::vector<std::string> Agent::MissingToServe() const {
  if (decided_ == nullptr || decided_ != latest_) {
    std::vector<std::string> missing = {"its first snapshot"};
    for (const model::Problem& problem : source_->problems()) {
      missing[0] += ": " + problem.ToString();
    }
    return missing;
  }
  return MissingCertificates();
}

// What the agent that serves hands over. kUnavailable: try again.
base::StatusOr<HandedOver> Agent::AskForAll() {
  NODEWARD_ASSIGN(base::Fd connection,
                  admin::ConnectAgent(config_.run_dir, kConnectPatience));
  HandedOver handed;
  handed.giver = std::make_unique<OtherAgent>(*loop_, std::move(connection));
  NODEWARD_TRY(handed.giver->CheckUser());
  Json args = Terms().ToJson();
  args["version"] = kVersion;
  args["pins"] = kernel::PinVersion();
  const auto passing = [](const base::Status& status) {
    return status.ok() ? status : absl::UnavailableError(status.message());
  };
  NODEWARD_TRY(passing(handed.giver->Send(
      {{"command", "takeover"}, {"args", std::move(args)}})));
  auto first = handed.giver->Await();
  NODEWARD_TRY(passing(first.status()));
  if (!base::GetBool(first->json, "ok")) {
    const std::string why =
        StrCat("take over from the agent of this node: ",
               base::GetString(first->json, "error", "refused"));
    return base::GetBool(first->json, "final")
               ? absl::FailedPreconditionError(why)
               : absl::UnavailableError(why);
  }
  const int64_t pods = base::GetInt(first->json, "pods");
  handed.sockets = *std::move(first);
  for (int64_t i = 0; i < pods; ++i) {
    auto line = handed.giver->Await();
    NODEWARD_TRY(passing(line.status()));
    NODEWARD_ASSIGN(capture::HandedPod pod, PodFromLine(*std::move(line)));
    handed.pods.push_back(std::move(pod));
  }
  return handed;
}

// A pod that the other serves and this one knows nothing of would be closed.
base::Status Agent::KnowsAll(const HandedOver& handed) const {
  std::set<std::string> known;
  for (const auto& workload : latest_->workloads) {
    if (workload->node == config_.node && workload->in_mesh()) {
      known.insert(workload->uid);
    }
  }
  for (const capture::HandedPod& pod : handed.pods) {
    if (known.contains(pod.uid)) continue;
    return absl::UnavailableError(
        StrCat("the other agent serves a pod with UID ", pod.uid,
               ", which this one does not know as one of the mesh (yet)"));
  }
  return base::OkStatus();
}

base::Status Agent::TakeOver() {
  NODEWARD_ASSIGN(HandedOver handed, AskForAll());
  NODEWARD_TRY(KnowsAll(handed));
  former_ = std::move(handed.giver);
  const size_t pods = handed.pods.size();
  NODEWARD_TRY(BeginServing(&handed));
  NODEWARD_ASSIGN(run_dir_, admin::RunDir::Adopt(config_.run_dir,
                                                 handed.sockets.Take("lock")));
  NODEWARD_TRY(former_->Send({{"taken", true}}));
  // Nothing is said meanwhile, so an end means that it serves on.
  const auto yielded = former_->Await();
  if (!yielded.ok() || !base::GetBool(yielded->json, "yielded")) {
    return absl::AbortedError(
        "take over from the agent of this node: it did not let go; it serves "
        "on, or start this one again");
  }
  enroller_->FormerYielded();
  NODEWARD_TRY(former_->Watch([](const admin::DescriptorLine&) {},
                              [this] { OnFormerGone(); }));
  NODEWARD_TRY(BuildPlugin());
  base::LogInfo(
      "took over from the agent of this node",
      {{"pods", StrCat(pods)},
       {"its_version", base::GetString(handed.sockets.json, "version")},
       {"its_pins", StrCat(base::GetInt(handed.sockets.json, "pins"))}});
  Refresh();
  return base::OkStatus();
}

base::Status Agent::BeginServing(HandedOver* handed) {
  NODEWARD_TRY(BuildEnroller());
  if (handed != nullptr) enroller_->TakeOver(std::move(handed->pods));
  if (decided_ != nullptr && decided_ == latest_) Steer(latest_);
  if (handed != nullptr) NODEWARD_TRY(enroller_->HandedServed());
  // Whoever asks this one before the other lets go gets a true answer.
  readiness_.Set(UnreadyReasons());
  NODEWARD_TRY(BuildAdmin(handed));
  return handed == nullptr ? BuildPlugin() : base::OkStatus();
}

void Agent::OnFormerGone() {
  base::LogInfo("the former agent has ended", {});
  std::shared_ptr<OtherAgent> gone = std::move(former_);
  loop_->Defer([gone] {});
  enroller_->FormerGone();
}

}  // namespace nodeward::agent
