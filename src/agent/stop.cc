// SPDX-License-Identifier: Apache-2.0
//
// The end of an agent that nobody replaces yet.
#include <algorithm>
#include <memory>

#include "absl/time/clock.h"
#include "agent/agent.h"
#include "base/log.h"

namespace nodeward::agent {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(100);
// For GOAWAY and what goes on in that moment.
constexpr absl::Duration kLast = absl::Seconds(1);

}  // namespace

void Agent::Stop() {
  stopping_ = true;
  // Pods that start now wait for the next agent.
  plugin_.reset();
  base::LogInfo("stopping; enrolled pods stay closed to plaintext",
                {{"drain", absl::FormatDuration(config_.drain)}});
  if (!config_.takeover) return EndService(config_.drain);
  // Kubernetes starts the pod in this one's place when this one has ended; what
  // is refused in between would have been served.
  stop_by_ = absl::Now() + config_.drain;
  quiet_ = std::make_unique<io::Timer>(*loop_, [this] { AwaitQuiet(); });
  AwaitQuiet();
}

// Serves while there are connections that may go on, or until another agent has
// taken over.
void Agent::AwaitQuiet() {
  if (yielded_) return;
  const absl::Duration left = stop_by_ - absl::Now();
  const bool serves = engine_->load().connections > 0 && left > kLast;
  if (serves || taker_ != nullptr) return quiet_->Set(kLook);
  EndService(std::clamp(left, absl::ZeroDuration(), kLast));
}

void Agent::EndService(absl::Duration drain) {
  service_ended_ = true;
  engine_->Drain(drain, [this] { loop_->Stop(); });
}

}  // namespace nodeward::agent
