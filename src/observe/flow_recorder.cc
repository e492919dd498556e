// SPDX-License-Identifier: Apache-2.0
#include "observe/flow_recorder.h"

#include <utility>

namespace nodeward::observe {

struct FlowRecorder::Queue {
  base::Mutex mutex;
  std::vector<Event> events ABSL_GUARDED_BY(mutex);
  // Ends that found the queue full: eight bytes each keep the tables right.
  std::vector<uint64_t> lost_ends ABSL_GUARDED_BY(mutex);
  uint64_t lost ABSL_GUARDED_BY(mutex) = 0;
  bool scheduled ABSL_GUARDED_BY(mutex) = false;
  // The loop's thread only; null once the recorder is gone.
  std::unique_ptr<io::Timer> timer;
};

FlowRecorder::FlowRecorder(io::Loop& loop, Metrics* metrics,
                           AccessLog* access_log, Options options)
    : loop_(loop),
      metrics_(metrics),
      access_log_(access_log),
      options_(std::move(options)),
      queue_(std::make_shared<Queue>()) {
  queue_->timer = std::make_unique<io::Timer>(loop, [this] { Flush(); });
}

FlowRecorder::~FlowRecorder() {
  Flush();
  access_log_->Flush(options_.clock(), true);
  queue_->timer.reset();
}

void FlowRecorder::Opened(const Flow& flow) { Push(true, flow); }
void FlowRecorder::Closed(const Flow& flow) { Push(false, flow); }

void FlowRecorder::Push(bool opened, const Flow& flow) {
  bool wake = false;
  {
    base::MutexLock lock(&queue_->mutex);
    if (queue_->events.size() < kMaxQueued) {
      queue_->events.push_back({opened, flow});
    } else {
      ++queue_->lost;
      if (!opened) queue_->lost_ends.push_back(flow.id);
    }
    wake = !std::exchange(queue_->scheduled, true);
  }
  if (!wake) return;
  // Timers belong to the loop's thread, so it sets its own.
  loop_.Post([queue = queue_] {
    if (queue->timer) queue->timer->Set(kBatchDelay);
  });
}

void FlowRecorder::Flush() {
  std::vector<Event> events;
  std::vector<uint64_t> lost_ends;
  uint64_t lost = 0;
  {
    base::MutexLock lock(&queue_->mutex);
    events.swap(queue_->events);
    lost_ends.swap(queue_->lost_ends);
    lost = std::exchange(queue_->lost, 0);
    queue_->scheduled = false;
  }
  const absl::Time now = options_.clock();
  for (const Event& event : events) Record(event, now);
  for (const uint64_t id : lost_ends) {
    edges_.Lost(id, now);
    open_.erase(id);
  }
  if (lost > 0) metrics_->AddLostFlowEvents(lost);
  // What was left out is told when nothing more happens, too.
  if (access_log_->Flush(now)) queue_->timer->Set(absl::Seconds(1));
}

void FlowRecorder::Record(const Event& event, absl::Time now) {
  const Flow& flow = event.flow;
  if (event.opened) {
    if (!open_.insert(flow.id).second) return;
    metrics_->Opened(flow);
    edges_.Opened(flow, now);
    return;
  }
  const bool opened = open_.erase(flow.id) > 0;
  metrics_->Closed(flow, opened);
  edges_.Closed(flow, now);
  access_log_->Add(flow, now);
}

base::Json FlowRecorder::EdgesResult(const base::Json& arguments) {
  Flush();
  return edges_.Result(base::GetString(arguments, "namespace"),
                       options_.clock());
}

}  // namespace nodeward::observe
