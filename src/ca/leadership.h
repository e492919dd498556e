// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "base/status.h"
#include "ca/event.h"
#include "ca/event_writer.h"
#include "ca/object_name.h"
#include "ca/root_bundles.h"
#include "io/loop.h"
#include "kube/http_client.h"
#include "kube/leader.h"

namespace nodeward::ca {

// What only one of several CAs does in a Kubernetes: write Events and publish
// roots. All of them issue, whoever leads, and nobody who wants a certificate
// ever waits for this. On the loop's thread.
class Leadership {
 public:
  struct Options {
    kube::HttpClient::Options api;
    // By which the CAs elect; none: this one leads.
    std::optional<ObjectName> lease;
    // On which Events are written; none: they are not.
    std::optional<ObjectName> events_on;
    std::optional<RootBundles::Options> publish;
    std::string instance;  // our pod
  };
  // `loop` outlives it.
  static base::StatusOr<std::unique_ptr<Leadership>> Start(io::Loop& loop,
                                                           Options options);

  void SetRoots(const std::string& roots_pem);
  void Tell(const Event& event);
  bool leads() const { return leads_; }
  // Lets another one lead; `done` is called within about a second.
  void Resign(std::function<void()> done);

 private:
  Leadership(io::Loop& loop, Options options,
             std::unique_ptr<kube::HttpClient> client);
  void OnLead(bool leads);
  double Random() {
    return std::uniform_real_distribution<double>(0, 1)(random_);
  }

  io::Loop& loop_;
  const Options options_;
  std::mt19937_64 random_{std::random_device()()};
  std::unique_ptr<kube::HttpClient> client_;
  std::string roots_;
  bool leads_ = false;
  std::unique_ptr<EventWriter> events_;   // null: none are written
  std::unique_ptr<RootBundles> bundles_;  // null: another one sees to them
  std::unique_ptr<kube::Leader> leader_;  // null: there is no election
};

}  // namespace nodeward::ca
