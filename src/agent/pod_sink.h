// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "capture/enroller.h"
#include "hbone/engine.h"

namespace nodeward::agent {

// Hands what capture opens to the engine: neither room knows the other.
class EnginePods : public capture::PodSink {
 public:
  // `engine` outlives this.
  explicit EnginePods(hbone::Engine* engine) : engine_(engine) {}

  void Add(const std::string& uid, std::shared_ptr<io::PodNetwork> network,
           capture::Listeners listeners) override;
  void Drain(const std::string& uid, std::function<void()> done) override;
  void Kill(const std::string& uid, std::function<void()> done) override;

 private:
  hbone::Engine* engine_;
};

}  // namespace nodeward::agent
