// SPDX-License-Identifier: Apache-2.0
//
// Two enrollers of one node, one after the other, both at work for a moment.
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "capture/node_enroller.h"

namespace nodeward::capture {

std::vector<HandedPod> NodeEnroller::HandOver() {
  handing_over_ = true;
  probe_events_.reset();  // one reader at a time
  std::vector<HandedPod> pods;
  for (const auto& [uid, pod] : pods_) {
    if (pod.engine == Engine::kServes) {
      pods.push_back(pod.capture->HandOver());
    }
  }
  return pods;
}

void NodeEnroller::GoOn() {
  handing_over_ = false;
  others_removed_ = false;
  for (auto& [uid, pod] : pods_) {
    if (pod.capture != nullptr) pod.capture->HooksMayBeGone();
  }
  base::Status status = node_.hooks->Reread();
  status.Update(WatchProbes());
  if (!status.ok()) {
    base::LogWarn("not all is as before the hand-over",
                  {{"error", std::string(status.message())}});
  }
  SetNodeAddresses();
  FindKubelet();
  if (snapshot_ != nullptr) Apply(snapshot_);
}

void NodeEnroller::TakeOver(std::vector<HandedPod> pods) {
  former_lives_ = former_serves_ = true;
  for (HandedPod& pod : pods) {
    const uint64_t cookie = pod.netns_cookie;
    handed_.emplace(cookie, std::move(pod));
  }
}

void NodeEnroller::FormerYielded() {
  former_serves_ = false;
  RemoveOtherVersions();
}

void NodeEnroller::FormerGone() {
  former_lives_ = false;
  ForgetStrangers();
}

base::Status NodeEnroller::HandedServed() const {
  for (const auto& [uid, pod] : pods_) {
    if (pod.handed && pod.engine != Engine::kServes) {
      return base::Annotate(pod.failure,
                            base::StrCat("take over pod ", pod.name));
    }
  }
  if (handed_.empty()) return base::OkStatus();
  return absl::FailedPreconditionError(
      base::StrCat("take over pod with UID ", handed_.begin()->second.uid,
                   ": this agent does not know it as one of the mesh"));
}

std::optional<HandedPod> NodeEnroller::TakeHanded(const std::string& uid,
                                                  uint64_t netns_cookie) {
  const auto found = handed_.find(netns_cookie);
  if (found == handed_.end() || found->second.uid != uid) return std::nullopt;
  HandedPod pod = std::move(found->second);
  handed_.erase(found);
  return pod;
}

}  // namespace nodeward::capture
