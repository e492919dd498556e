// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/loop.h"
#include "kube/http_client.h"

namespace nodeward::kube {

// Our own DaemonSet, of which one question matters: is it being uninstalled?
class DaemonSet {
 public:
  // `name` is "NAMESPACE/NAME"; empty: not known, and so never deleted. `loop`
  // and `client` outlive this.
  DaemonSet(io::Loop& loop, HttpClient* client, std::string name);

  // True if the API server says twice, a while apart, that it is gone or has a
  // deletionTimestamp. Anything else (it stands, no right to ask, no answer)
  // is a no: an agent that is unsure leaves its pods closed. One question at a
  // time.
  void IsDeleted(std::function<void(bool)> done);

 private:
  void Ask(int left);

  HttpClient* const client_;
  const std::string target_;  // empty: not known
  std::function<void(bool)> done_;
  io::Timer again_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::kube
