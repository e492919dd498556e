// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "kernel/hooks.h"
#include "kernel/object.h"

namespace nodeward::kernel {

// The hook that lets no plaintext out of a pod to the mesh, on the host's side
// of its veth, pinned as <directory>/<cookie in hex>/<ifindex> (see VethHook).
// One thread, in the node's network namespace.
class Guard {
 public:
  static base::StatusOr<Guard> Load(SharedMaps& maps, const Features& features,
                                    const std::string& directory);

  // On this interface and on no other.
  base::Status Attach(uint64_t cookie, int ifindex);
  // Absent is OK.
  base::Status Detach(uint64_t cookie);
  // Pods that have something pinned.
  std::vector<uint64_t> Pods() const;

  // The folder was renamed.
  void MoveTo(const std::string& directory) { directory_ = directory; }

 private:
  Guard() = default;
  std::string PathOf(uint64_t cookie) const;
  // `but`: stays.
  base::Status DetachFrom(const std::string& path, int but);

  bool tcx_ = false;
  std::string directory_;
  base::Fd program_;
};

}  // namespace nodeward::kernel
