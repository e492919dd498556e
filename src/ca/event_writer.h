// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "ca/event.h"
#include "ca/object_name.h"
#include "io/loop.h"
#include "kube/back_off.h"
#include "kube/http_client.h"

namespace nodeward::ca {

// Writes what happens as Kubernetes Events (events.k8s.io/v1) of the CA's own
// Deployment, where `kubectl get events` shows them. Of several CAs that see
// the same, one writes: the leader. The others keep what they see for a moment,
// in case the leader died before it saw it; an Event's name says what it is
// about, so that one which is there already is not written again.
//
// Nobody waits for it. What the API server does not take is tried again for a
// while, what is too much is left to the log. On the loop's thread.
class EventWriter {
 public:
  struct Options {
    ObjectName deployment;
    std::string instance;  // which CA, as the Event's reportingInstance
    // How long one that is not the leader keeps what it saw: longer than it
    // takes to become it.
    absl::Duration keep = absl::Minutes(1);
    // How long the leader tries.
    absl::Duration patience = absl::Minutes(10);
    // As client-go allows one source for one object: so many at once, then one
    // in so long.
    int burst = 25;
    absl::Duration refill = absl::Minutes(5);
  };
  // `random` gives 0 to 1. `loop` and `client` outlive this.
  EventWriter(io::Loop& loop, kube::HttpClient* client, Options options,
              std::function<double()> random);
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  void SetLeads(bool leads);
  void Tell(const Event& event);
  // Those that are still to be written or forgotten.
  size_t pending() const { return pending_.size(); }

 private:
  struct Pending {
    Event event;
    absl::Time at;
  };

  void Work();
  void AskForDeployment();
  void OnDeployment(const kube::HttpClient::Answer& answer);
  void Write(const Pending& pending);
  void OnWritten(const kube::HttpClient::Answer& answer);
  void TryLater(const std::string& why);
  bool TakeToken(absl::Time now);
  void DropOld(absl::Time now);
  std::string Body(const Pending& pending) const;

  const Options options_;
  kube::HttpClient* const client_;
  const std::function<double()> random_;
  bool leads_ = false;
  bool asking_ = false;
  std::optional<std::string> uid_;  // of the Deployment; empty: not to be had
  std::deque<Pending> pending_;
  double tokens_;
  absl::Time filled_;  // when `tokens_` was last counted
  kube::BackOff back_off_;
  std::string told_;  // the last problem
  io::Timer again_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::ca
