// SPDX-License-Identifier: Apache-2.0
#include "hbone/flow_record.h"

#include <utility>

#include "absl/time/clock.h"

namespace nodeward::hbone {

FlowRecord::FlowRecord(observe::FlowSink* sink, uint64_t id,
                       observe::Reporter reporter, absl::Duration now)
    : sink_(sink), began_(now) {
  flow_.id = id;
  flow_.reporter = reporter;
  flow_.opened = absl::Now();
}

FlowRecord::~FlowRecord() {
  Close(observe::Outcome::kShutdown, "", began_ + flow_.duration);
}

void FlowRecord::Open() {
  if (std::exchange(opened_, true)) return;
  sink_->Opened(flow_);
}

void FlowRecord::Close(observe::Outcome outcome, std::string detail,
                       absl::Duration now) {
  if (std::exchange(closed_, true)) return;
  flow_.outcome = outcome;
  flow_.detail = std::move(detail);
  flow_.duration = now - began_;
  sink_->Closed(flow_);
}

}  // namespace nodeward::hbone
