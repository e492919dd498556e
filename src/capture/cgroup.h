// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace nodeward::capture {

// The mount points of cgroup v2 in a mountinfo text (proc(5)), in its order.
std::vector<std::string> ParseCgroup2Mounts(std::string_view mountinfo);

// Where cgroup v2 is mounted: the first mount of that type that can be read.
base::StatusOr<std::string> FindCgroup2Mount();

// The folder that "auto" (the mount itself), a path inside the mount, or one
// relative to it names; an error when it is no cgroup v2 folder.
base::StatusOr<std::string> ResolveCgroup(const std::string& configured);

// A cgroup's id, as the kernel programs see it, is its folder's inode.
base::StatusOr<uint64_t> CgroupId(const std::string& folder);
// The folder below `mount` with that id, by looking at all of them.
base::StatusOr<std::string> FindCgroup(const std::string& mount, uint64_t id);

// Does a path of cgroups lie under a pod's? ("…/kubepods/burstable/pod<uid>",
// "kubelet-kubepods.slice", "…-pod<uid>.slice")
bool IsPodCgroup(std::string_view path);

}  // namespace nodeward::capture
