// SPDX-License-Identifier: Apache-2.0
#include "agent/pod_sink.h"

#include <utility>

namespace nodeward::agent {

void EnginePods::Add(const std::string& uid,
                     std::shared_ptr<io::PodNetwork> network,
                     capture::Listeners listeners) {
  hbone::LocalPod pod;
  pod.uid = uid;
  pod.network = std::move(network);
  pod.listeners.outbound4 = std::move(listeners.outbound4);
  pod.listeners.outbound6 = std::move(listeners.outbound6);
  pod.listeners.inbound4 = std::move(listeners.inbound4);
  pod.listeners.inbound6 = std::move(listeners.inbound6);
  pod.listeners.hbone = std::move(listeners.hbone);
  engine_->AddPod(std::move(pod));
}

void EnginePods::Drain(const std::string& uid, std::function<void()> done) {
  engine_->DrainPod(uid, std::move(done));
}

void EnginePods::Kill(const std::string& uid, std::function<void()> done) {
  engine_->KillPod(uid, std::move(done));
}

}  // namespace nodeward::agent
