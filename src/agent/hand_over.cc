// SPDX-License-Identifier: Apache-2.0
//
// The agent that serves hands over to another one of its node: what that needs
// goes over the control socket, and only when it serves does this one let go.
#include <fcntl.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/agent.h"
#include "base/log.h"
#include "base/text.h"
#include "kernel/hooks.h"
#include "nodeward/version.h"

namespace nodeward::agent {
namespace {

using base::Json;

// From the request to "taken": certificates and snapshot are there already.
constexpr absl::Duration kHandoverDeadline = absl::Seconds(30);
// What was accepted when listening stopped gets through its handshake before
// the tunnels are told to end.
constexpr absl::Duration kSettle = absl::Seconds(1);

void Share(std::vector<admin::NamedDescriptor>* out, const char* name, int fd) {
  base::Fd twice(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (twice.valid()) out->push_back({name, std::move(twice)});
}

Json Refusal(std::string_view error, bool final) {
  return {{"ok", false}, {"error", error}, {"final", final}};
}

}  // namespace

HandoverTerms Agent::Terms() const {
  return {.bpf_dir = config_.bpf_dir, .node = config_.node};
}

void Agent::OnTakeoverRequest(base::Fd connection, const Json& args) {
  auto taker = std::make_unique<OtherAgent>(*loop_, std::move(connection));
  const base::Status user = taker->CheckUser();
  const base::Status terms = HandoverTerms::FromJson(args).MayTakeFrom(Terms());
  Json refusal;
  if (!user.ok() || !terms.ok()) {
    const base::Status& why = user.ok() ? terms : user;
    refusal = Refusal(base::FromAbsl(why.message()), true);
  } else if (taker_ != nullptr) {
    refusal = Refusal("another agent is taking over already", false);
  } else if (service_ended_ || (signalled_ && !stopping_) || leaving_) {
    refusal = Refusal("it is stopping", false);
  } else if (steered_ == nullptr) {
    refusal = Refusal("it is starting", false);
  }
  if (!refusal.is_null()) {
    base::LogWarn("does not hand over",
                  {{"reason", base::GetString(refusal, "error")}});
    // Best effort: it will see the end.
    (void)taker->Send(std::move(refusal));
    return;
  }
  base::LogInfo("hands over to another agent",
                {{"version", base::GetString(args, "version")},
                 {"pins", base::StrCat(base::GetInt(args, "pins"))}});
  taker_ = std::move(taker);
  handover_deadline_ = std::make_unique<io::Timer>(
      *loop_, [this] { KeepServing("its time is up"); });
  handover_deadline_->Set(kHandoverDeadline);
  base::Status status = SendAll();
  if (status.ok()) {
    status = taker_->Watch(
        [this](const admin::DescriptorLine& line) {
          if (base::GetBool(line.json, "taken") && !yielded_) Yield();
        },
        [this] { OnTakerGone(); });
  }
  if (!status.ok()) KeepServing(base::FromAbsl(status.message()));
}

base::Status Agent::SendAll() {
  std::vector<capture::HandedPod> pods = enroller_->HandOver();
  std::vector<admin::NamedDescriptor> own;
  Share(&own, "lock", run_dir_->lock());
  Share(&own, "control", control_->listener());
  if (metrics_server_ != nullptr) {
    Share(&own, "metrics", metrics_server_->listener());
  }
  if (ready_server_ != nullptr) {
    Share(&own, "readiness", ready_server_->listener());
  }
  NODEWARD_TRY(taker_->Send({{"ok", true},
                             {"pods", pods.size()},
                             {"version", kVersion},
                             {"pins", kernel::PinVersion()}},
                            own));
  for (capture::HandedPod& pod : pods) {
    hbone::PodListeners twice = engine_->DuplicateListeners(pod.uid);
    NODEWARD_TRY(taker_->Send(
        PodToJson(pod), ListenersOf({.outbound4 = std::move(twice.outbound4),
                                     .outbound6 = std::move(twice.outbound6),
                                     .inbound4 = std::move(twice.inbound4),
                                     .inbound6 = std::move(twice.inbound6),
                                     .hbone = std::move(twice.hbone)})));
  }
  return base::OkStatus();
}

// The hand-over came to nothing.
void Agent::KeepServing(std::string_view why) {
  if (taker_ == nullptr || yielded_) return;
  base::LogWarn("the other agent has not taken over; this one serves on",
                {{"reason", std::string(why)}});
  ForgetTaker();
  (void)run_dir_->Sign();
  enroller_->GoOn();
  if (plugin_ == nullptr && !stopping_) {
    if (const base::Status status = BuildPlugin(); !status.ok()) {
      base::LogError("pods of the mesh cannot start: no CNI plugin is answered",
                     {{"error", std::string(status.message())}});
    }
  }
  if (signalled_ && !stopping_) BeginStop();
}

// It, or the timer, may be what is calling.
void Agent::ForgetTaker() {
  handover_deadline_->Cancel();
  std::shared_ptr<OtherAgent> gone = std::move(taker_);
  loop_->Defer([gone] {});
}

void Agent::OnTakerGone() {
  if (!yielded_) return KeepServing("it has ended");
  // Whoever restarts this process restarts it to serve.
  ForgetTaker();
  EndWhenDone();
}

void Agent::Yield() {
  // Its socket is gone before the other makes one in its place.
  plugin_.reset();
  if (const base::Status said = taker_->Send({{"yielded", true}}); !said.ok()) {
    return KeepServing(base::FromAbsl(said.message()));
  }
  yielded_ = stopping_ = true;
  handover_deadline_->Cancel();
  base::LogInfo("handed over; open connections may go on for a while",
                {{"drain", absl::FormatDuration(config_.drain)}});
  engine_->StopListening();
  control_->LeaveSocket();
  control_.reset();
  run_dir_.reset();
  metrics_server_.reset();
  ready_server_.reset();
  const absl::Duration settle = std::min(kSettle, config_.drain / 2);
  settle_ = std::make_unique<io::Timer>(*loop_, [this, settle] {
    engine_->Drain(config_.drain - settle, [this] {
      loop_->Post([this] {
        drained_ = true;
        EndWhenDone();
      });
    });
  });
  settle_->Set(settle);
}

void Agent::EndWhenDone() {
  if (!drained_) return;
  if (engine_ != nullptr) {
    base::LogInfo("drained; the other agent serves this node", {});
    // Nothing of a pod is held any more, however long this process stays.
    kubernetes_ = nullptr;
    source_.reset();
    enroller_.reset();
    renewer_.reset();
    trust_.reset();
    engine_.reset();
  }
  // The kubelet would start a container that ends anew, and that one would take
  // over again: the pod's end is waited for, or that of the other agent.
  if (config_.kubernetes && !signalled_ && taker_ != nullptr) return;
  loop_->Stop();
}

}  // namespace nodeward::agent
