// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/json.h"
#include "io/loop.h"
#include "kube/back_off.h"
#include "kube/http_client.h"
#include "kube/resource_watch.h"

namespace nodeward::kube {

// A taint of our own node that keeps pods away until the agent is ready: takes
// it off then, and again should it come back. Never puts one on. On the loop's
// thread.
class NodeTaint final : private ObjectSink {
 public:
  // `key` is empty: there is nothing to do. `random` gives 0 to 1. `loop` and
  // `client` outlive this.
  NodeTaint(io::Loop& loop, HttpClient* client, std::string node,
            std::string key, std::function<double()> random);
  ~NodeTaint() override;

  void Watch();
  void SetReady(bool ready);
  // Why it is still there; empty: it is not, or need not go yet.
  const std::string& problem() const { return problem_; }

 private:
  void Put(base::Json object) override;
  void Remove(const std::string& key) override;
  void Synced(const absl::flat_hash_set<std::string>& keys) override;
  void Work();
  void OnAnswer(const HttpClient::Answer& answer);

  io::Loop& loop_;
  HttpClient* const client_;
  const std::string node_;
  const std::string key_;
  const std::function<double()> random_;
  bool ready_ = false;
  bool asking_ = false;
  base::Json patch_;  // what takes off what was last seen; null: nothing
  std::string problem_;
  BackOff back_off_;
  io::Timer again_;
  std::unique_ptr<ResourceWatch> watch_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::kube
