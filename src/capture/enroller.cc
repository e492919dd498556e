// SPDX-License-Identifier: Apache-2.0
#include "capture/enroller.h"

#include <utility>

#include "capture/cgroup.h"
#include "capture/node_enroller.h"
#include "kernel/hooks.h"

namespace nodeward::capture {

std::string_view PodStateText(PodState state) {
  switch (state) {
    case PodState::kPending:
      return "pending";
    case PodState::kEnrolled:
      return "enrolled";
    case PodState::kDraining:
      return "draining";
    case PodState::kSkipped:
      return "skipped";
    case PodState::kFailed:
      return "failed";
  }
  return "unknown";
}

base::StatusOr<std::unique_ptr<Enroller>> Enroller::Start(io::Loop& loop,
                                                          Options options,
                                                          PodSink* sink) {
  NODEWARD_ASSIGN(const std::string cgroup, ResolveCgroup(options.cgroup));
  NODEWARD_ASSIGN(
      std::unique_ptr<kernel::Hooks> hooks,
      kernel::Hooks::Load({.bpf_dir = options.bpf_dir, .cgroup_path = cgroup}));
  NODEWARD_ASSIGN(
      std::unique_ptr<Enroller> enroller,
      NodeEnroller::Create(loop, std::move(options), sink, std::move(hooks)));
  return enroller;
}

}  // namespace nodeward::capture
