// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/fd.h"
#include "base/status.h"
#include "kernel/hooks.h"
#include "kernel/link.h"
#include "kernel/object.h"

namespace nodeward::kernel {

// The sk_lookup programs: one instance a pod, with a map of the agent's
// listeners for it. Pinned as <directory>/<cookie in hex>/{link,listeners}. One
// thread.
class Inbound {
 public:
  // `maps` must outlive this. Loads one instance to see that the kernel takes
  // it.
  static base::StatusOr<Inbound> Open(SharedMaps& maps,
                                      const std::string& directory);

  base::Status Attach(uint64_t cookie, int netns_fd);
  base::Status SetListener(uint64_t cookie, Slot slot, int listener_fd);
  base::Status Detach(uint64_t cookie);
  // Pods that have something pinned.
  std::vector<uint64_t> Pods() const;

  // The folder was renamed.
  void MoveTo(const std::string& directory) { directory_ = directory; }

 private:
  struct Instance {
    base::Fd program;
    base::Fd listeners;
  };
  Inbound(SharedMaps& maps, std::string directory)
      : maps_(&maps), directory_(std::move(directory)) {}
  std::string PathOf(uint64_t cookie) const;
  // `listeners`: a map to take, or -1 for a new one.
  base::StatusOr<Instance> Load(uint64_t cookie, int listeners);
  static base::Status AttachAside(const std::string& aside,
                                  const Instance& instance,
                                  const Attachment& to);
  base::Status AttachNew(uint64_t cookie, int netns_fd);
  base::Status AttachAgain(uint64_t cookie, int netns_fd);

  SharedMaps* maps_;
  std::string directory_;
  absl::flat_hash_map<uint64_t, base::Fd> listeners_;
};

}  // namespace nodeward::kernel
