// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/clock.h"
#include "base/json.h"
#include "base/mutex.h"
#include "io/loop.h"
#include "observe/access_log.h"
#include "observe/edges.h"
#include "observe/flow.h"
#include "observe/metrics.h"

namespace nodeward::observe {

// Takes the workers' flows and feeds metrics, access log and edges on the
// control loop, in batches: a worker pays one short lock and a copy, and the
// loop wakes at most every kBatchDelay. All but FlowSink's functions belong to
// the loop's thread. The recorder outlives the workers; the loop, metrics and
// log outlive the recorder.
class FlowRecorder : public FlowSink {
 public:
  static constexpr absl::Duration kBatchDelay = absl::Milliseconds(50);
  // What is beyond this before the loop comes round is counted in metrics
  // (nodeward_flow_events_lost_total) and recorded nowhere else.
  static constexpr size_t kMaxQueued = 32768;

  struct Options {
    // Wall clock, injected for tests.
    std::function<absl::Time()> clock = [] { return absl::Now(); };
  };
  FlowRecorder(io::Loop& loop, Metrics* metrics, AccessLog* access_log,
               Options options);
  ~FlowRecorder() override;

  void Opened(const Flow& flow) override;
  void Closed(const Flow& flow) override;

  // Records what is queued, now: before somebody looks, and at the end.
  void Flush();
  // Edges::Result after a Flush: the reply to the control command `edges`,
  // whose argument is {"namespace": "…"}, absent or empty: all.
  base::Json EdgesResult(const base::Json& arguments);

 private:
  struct Event {
    bool opened;
    Flow flow;
  };
  struct Queue;  // shared with what is posted, which may outlive this
  void Push(bool opened, const Flow& flow);
  void Record(const Event& event, absl::Time now);

  io::Loop& loop_;
  Metrics* metrics_;
  AccessLog* access_log_;
  Options options_;
  Edges edges_;
  // Flows whose Opened was recorded and whose end is awaited.
  absl::flat_hash_set<uint64_t> open_;
  std::shared_ptr<Queue> queue_;
};

}  // namespace nodeward::observe
