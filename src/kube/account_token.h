// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/loop.h"
#include "kube/back_off.h"
#include "kube/http_client.h"

namespace nodeward::kube {

// Keeps a fresh token of a ServiceAccount that is not our own, asked for by
// TokenRequest; we must have the right to, which RBAC gives by name.
class AccountToken {
 public:
  // `account` is "NAMESPACE/NAME"; `random` gives 0 to 1; `renewed` is called
  // on the loop with each token. `loop` and `client` outlive this.
  AccountToken(io::Loop& loop, HttpClient* client, const std::string& account,
               std::function<double()> random,
               std::function<void(const std::string& token)> renewed);

  // Why there is no fresh one; empty: there is, or none was asked for yet.
  const std::string& problem() const { return problem_; }

 private:
  void Ask();
  void OnAnswer(const HttpClient::Answer& answer);

  HttpClient* const client_;
  const std::string account_;
  const std::string target_;
  const std::function<double()> random_;
  const std::function<void(const std::string&)> renewed_;
  BackOff back_off_;
  std::string problem_;
  io::Timer next_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::kube
