// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "io/loop.h"
#include "kube/election.h"
#include "kube/http_client.h"

namespace nodeward::kube {

// Stands for election for as long as it lives. Belongs to the loop's thread.
class Leader {
 public:
  // `changed` is told when it begins to lead and when it ends; it may not
  // destroy this. `loop` and `client` outlive it.
  Leader(io::Loop& loop, HttpClient* client, Election::Options options,
         std::function<double()> random, std::function<void(bool)> changed);
  Leader(const Leader&) = delete;
  Leader& operator=(const Leader&) = delete;

  void Start();
  bool leads() const { return leads_; }
  const Election& state() const { return election_; }
  // Stands no more, and gives the Lease back if it has it. `done` is called
  // when that is through, within about a second.
  void Resign(std::function<void()> done);

 private:
  void Take(Election::Step step);
  void Send();
  void Update();

  io::Loop& loop_;
  HttpClient* const client_;
  Election election_;
  const std::function<void(bool)> changed_;
  Election::Step step_;
  bool leads_ = false;
  bool resigned_ = false;
  std::string logged_;  // the problem that the log had last
  io::Timer next_;
  io::Timer until_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::kube
