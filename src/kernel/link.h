// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace nodeward::kernel {

// Where a program is attached to.
struct Attachment {
  int target;     // descriptor of the cgroup or netns, or an ifindex
  uint32_t hook;  // enum bpf_attach_type, or a newer number
  uint32_t flags = 0;
  std::string name;  // "connect4 to cgroup /sys/fs/cgroup", for errors
};

// What a link says of itself; no value: `fd` is no link.
std::optional<bpf_link_info> ReadLink(int fd);

// A new link of `program`. Detached when the descriptor is closed, until it is
// pinned.
base::StatusOr<base::Fd> Attach(int program, const Attachment& to);

// Makes `path` a pinned link of `program` at `to`: a link that is there and
// `is_current` gets the program in place, anything else is replaced, new before
// old, so that the hook is never empty.
base::Status AttachPinned(
    const std::string& path, int program, const Attachment& to,
    const std::function<bool(const bpf_link_info&)>& is_current);

// Detaches the link whoever else holds it, and unpins. Absent is OK.
base::Status DetachPinned(const std::string& path);

}  // namespace nodeward::kernel
