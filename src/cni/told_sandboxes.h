// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "cri/sandboxes.h"

namespace nodeward::cni {

// The sandboxes that the container runtime lists, and those that the plugin was
// called for, which the runtime does not list before they are up. What the
// plugin told counts as long as its namespace is there.
class ToldSandboxes final : public cri::SandboxSource {
 public:
  explicit ToldSandboxes(std::unique_ptr<cri::SandboxSource> runtime)
      : runtime_(std::move(runtime)) {}

  // The pod `uid` is about to start in `sandbox`.
  void Tell(const std::string& uid, cri::Sandbox sandbox);

  void Start(std::function<void(const cri::Sandboxes&)> changed) override;
  void Expect(std::set<std::string> pods) override;
  std::string problem() const override { return runtime_->problem(); }

 private:
  void Merge();

  const std::unique_ptr<cri::SandboxSource> runtime_;
  std::function<void(const cri::Sandboxes&)> changed_;
  cri::Sandboxes listed_;
  cri::Sandboxes told_;
};

}  // namespace nodeward::cni
