// SPDX-License-Identifier: Apache-2.0
#include "cni/told_sandboxes.h"

#include <sys/stat.h>

namespace nodeward::cni {
namespace {

bool IsThere(const std::string& path) {
  struct stat about {};
  return stat(path.c_str(), &about) == 0;
}

}  // namespace

void ToldSandboxes::Tell(const std::string& uid, cri::Sandbox sandbox) {
  cri::Sandbox& told = told_[uid];
  if (told == sandbox) return;
  told = std::move(sandbox);
  Merge();
}

void ToldSandboxes::Start(std::function<void(const cri::Sandboxes&)> changed) {
  changed_ = std::move(changed);
  runtime_->Start([this](const cri::Sandboxes& all) {
    listed_ = all;
    Merge();
  });
}

void ToldSandboxes::Expect(std::set<std::string> pods) {
  runtime_->Expect(std::move(pods));
}

void ToldSandboxes::Merge() {
  std::erase_if(told_,
                [](const auto& entry) { return !IsThere(entry.second.netns); });
  if (changed_ == nullptr) return;
  cri::Sandboxes all = told_;
  all.insert(listed_.begin(), listed_.end());
  changed_(all);
}

}  // namespace nodeward::cni
