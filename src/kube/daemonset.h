// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/loop.h"
#include "kube/http_client.h"
#include "kube/reflector.h"
#include "kube/resource_watch.h"

namespace nodeward::kube {

// Our own DaemonSet, of which one question matters: is it being uninstalled?
//
// Who uninstalls takes the DaemonSet away and, in the same moment, our right to
// ask; the kubelet stops us after that. So it is watched as long as it stands.
class DaemonSet final : private ObjectSink {
 public:
  // `name` is "NAMESPACE/NAME"; empty: not known, and so never deleted. `loop`
  // and `client` outlive this.
  DaemonSet(io::Loop& loop, HttpClient* client, std::string name);
  ~DaemonSet() override;

  // From now on; `random` gives 0 to 1.
  void Watch(const std::function<double()>& random);

  // True if the API server says twice, a while apart, that it is gone or has a
  // deletionTimestamp; or if the watch has told so and the API server does not
  // say that it stands. Anything else (it stands, no right to ask, no answer)
  // is a no: an agent that is unsure leaves its pods closed. One question at a
  // time.
  void IsDeleted(std::function<void(bool)> done);

 private:
  void Ask(int left);
  void Put(base::Json object) override;
  void Remove(const std::string& key) override;
  void Synced(const absl::flat_hash_set<std::string>& keys) override;

  io::Loop& loop_;
  HttpClient* const client_;
  const std::string name_;
  const std::string target_;  // empty: not known
  std::function<void(bool)> done_;
  io::Timer again_;
  std::unique_ptr<ResourceWatch> watch_;
  bool seen_ = false;     // by the watch, once
  bool deleted_ = false;  // says the watch
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nodeward::kube
