// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/libbpf.h>

#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "base/fd.h"
#include "base/status.h"
#include "kernel/map.h"

namespace nodeward::kernel {

// The maps that the programs share, each pinned under its own name. Programs
// loaded through it use what is pinned and bring along what is not yet.
class SharedMaps {
 public:
  // Opens what `directory` holds.
  static base::StatusOr<SharedMaps> Open(const std::string& directory);

  // Those that another version has pinned in `directory`: what they keep of
  // connections and sockets goes on in those of ours that have the same shape
  // and are not there yet. None is fine.
  void ShareConnections(const std::string& directory);

  // Loads `object`. Its maps, except read-only data and the one named
  // `own_map`, are the shared ones; those not there yet are created and pinned.
  // The verifier's last lines are in an error.
  base::Status Load(bpf_object* object, std::string_view name,
                    std::string_view own_map = "");

  // A handle of its own on a shared map. REQUIRES: some loaded object has it.
  template <typename Key, typename Value>
  base::StatusOr<Map<Key, Value>> Get(const std::string& name) const {
    NODEWARD_ASSIGN(base::Fd fd, Duplicate(name));
    return Map<Key, Value>(std::move(fd), name);
  }
  base::StatusOr<base::Fd> Duplicate(const std::string& name) const;

  // The folder was renamed; later maps are pinned here.
  void MoveTo(const std::string& directory) { directory_ = directory; }

 private:
  explicit SharedMaps(std::string directory)
      : directory_(std::move(directory)) {}

  base::Status ShareOne(bpf_map* map) const;

  std::string directory_;
  absl::flat_hash_map<std::string, base::Fd> maps_;
  absl::flat_hash_map<std::string, base::Fd> others_;  // another version's
};

}  // namespace nodeward::kernel
