// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/ip.h"
#include "base/mutex.h"
#include "base/status.h"
#include "observe/flow.h"

namespace nodeward::observe {

// Pods, as an operator names them.
struct TapSubject {
  enum class Kind { kAll, kPod, kWorkload, kEither, kService };
  Kind kind = Kind::kAll;
  std::string name_space;  // empty: all
  std::string name;        // of kAll: empty

  // Either pointer may be null; an end that nobody knows is never selected.
  bool Selects(const model::Workload* workload,
               const model::Service* service) const;
};

struct TapQuestion {
  TapSubject of;
  // Given: only what the pods of `of` send there.
  std::optional<TapSubject> to;
  // Empty: any. The path is a prefix.
  std::string method, path, authority;
  int max_rps = 100;  // requests a second that are shown

  bool WantsHttpOnly() const {
    return !method.empty() || !path.empty() || !authority.empty();
  }
};

// What the events of one connection have in common.
struct TapConnection {
  Reporter reporter = Reporter::kSource;
  Security security = Security::kUnknown;
  base::Endpoint source;
  base::Endpoint destination;
  std::string pod;  // UID of the pod whose agent tells
  // May be null.
  std::shared_ptr<const model::Workload> source_workload;
  std::shared_ptr<const model::Workload> destination_workload;
  std::shared_ptr<const model::Service> service;
  std::shared_ptr<const model::Identity> source_identity;
  std::shared_ptr<const model::Identity> destination_identity;
};

// "id=BASE:STREAM": the pod in order of appearance, and its request.
struct TapId {
  uint32_t base = 0;
  uint64_t stream = 0;
};

struct TapEvent {
  enum class Kind { kRequest, kResponse, kEnd, kOpen, kClose };
  Kind kind = Kind::kRequest;
  TapId id;
  std::shared_ptr<const TapConnection> connection;
  // kRequest; as clients sent them, cut off beyond Tap::kMaxText.
  std::string method, authority, path;
  int status = 0;  // kResponse
  // kResponse: since the request; kEnd: since the response began (the request,
  // if none did); kClose: since the connection began.
  absl::Duration time;
  std::optional<int> grpc_status;    // kEnd
  std::string reset;                 // kEnd: why it is not whole; may be empty
  uint64_t received = 0;             // kEnd: of the body; kClose
  uint64_t sent = 0;                 // kClose
  Outcome outcome = Outcome::kOpen;  // kClose
};

// One operator's look at the traffic. Thread-safe: workers push, the control
// loop takes. Bounded: what finds the queue full is counted and forgotten, and
// nobody waits for it.
class Tap {
 public:
  static constexpr size_t kMaxQueued = 4096;
  static constexpr size_t kMaxText = 1024;
  static constexpr size_t kMaxQueuedText = 1 << 20;  // of all together
  // Pods that have numbers of their own; those beyond share one.
  static constexpr size_t kMaxPods = 4096;

  explicit Tap(TapQuestion question) : question_(std::move(question)) {}

  bool Wants(const Flow& flow) const;
  bool WantsRequest(std::string_view method, std::string_view authority,
                    std::string_view path) const;
  bool WantsHttpOnly() const { return question_.WantsHttpOnly(); }

  // The number of a request (or a stream of bytes) that begins; none when there
  // were too many this second, which is counted. `now` is any steady clock.
  std::optional<TapId> Admit(const std::string& pod, absl::Duration now);
  void Push(TapEvent event);

  // The oldest events, `count` at most.
  std::vector<TapEvent> Take(size_t count);
  struct Missed {
    uint64_t lost = 0;        // events, for want of a reader
    uint64_t over_limit = 0;  // requests, beyond max_rps
  };
  Missed missed() const;

  // Nothing is pushed any more, and who works for it alone may stop.
  void Stop() { stopped_.store(true, std::memory_order_relaxed); }
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

 private:
  struct Numbered {
    uint32_t base = 0;
    uint64_t next = 0;
  };

  const TapQuestion question_;
  std::atomic<bool> stopped_{false};
  mutable base::Mutex mutex_;
  std::deque<TapEvent> events_ ABSL_GUARDED_BY(mutex_);
  size_t queued_text_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, Numbered> pods_ ABSL_GUARDED_BY(mutex_);
  Missed missed_ ABSL_GUARDED_BY(mutex_);
  double allowance_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<absl::Duration> refilled_ ABSL_GUARDED_BY(mutex_);
};

// The taps that run. Thread-safe. While there is none, asking costs a worker
// one relaxed load a connection.
class Taps {
 public:
  static constexpr size_t kMaxTaps = 8;

  // Error: kMaxTaps run already.
  base::StatusOr<std::shared_ptr<Tap>> Start(TapQuestion question);
  void Stop(const std::shared_ptr<Tap>& tap);

  bool any() const { return running_.load(std::memory_order_relaxed) > 0; }
  // Those that want this connection.
  std::vector<std::shared_ptr<Tap>> Watching(const Flow& flow) const;

 private:
  std::atomic<int> running_{0};
  mutable base::Mutex mutex_;
  std::vector<std::shared_ptr<Tap>> taps_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace nodeward::observe
