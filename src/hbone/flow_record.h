// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/time/time.h"
#include "observe/flow.h"

namespace nodeward::hbone {

// The flow of one connection and its way to the sink: Opened once at most,
// Closed exactly once, at the latest when this is destroyed.
class FlowRecord {
 public:
  // `sink` outlives it. `now` is the loop's time.
  FlowRecord(observe::FlowSink* sink, uint64_t id, observe::Reporter reporter,
             absl::Duration now);
  ~FlowRecord();
  FlowRecord(const FlowRecord&) = delete;
  FlowRecord& operator=(const FlowRecord&) = delete;

  observe::Flow& flow() { return flow_; }
  // Bytes may flow.
  void Open();
  void Close(observe::Outcome outcome, std::string detail, absl::Duration now);
  bool opened() const { return opened_; }
  bool closed() const { return closed_; }
  absl::Duration began() const { return began_; }

 private:
  observe::FlowSink* const sink_;
  const absl::Duration began_;
  observe::Flow flow_;
  bool opened_ = false;
  bool closed_ = false;
};

}  // namespace nodeward::hbone
