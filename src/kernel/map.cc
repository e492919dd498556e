// SPDX-License-Identifier: Apache-2.0
#include "kernel/map.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "base/text.h"

namespace nodeward::kernel {

base::Status RawMap::Write(const void* key, const void* value) const {
  if (bpf_map_update_elem(fd(), key, value, BPF_ANY) == 0)
    return base::OkStatus();
  int error = errno;
  // Hash maps say E2BIG, LPM tries ENOSPC.
  if (error == E2BIG || error == ENOSPC)
    return absl::ResourceExhaustedError(
        base::StrCat("write to BPF map ", name_, ": the map is full"));
  return base::ErrnoStatus(error, base::StrCat("write to BPF map ", name_));
}

base::Status RawMap::Remove(const void* key) const {
  if (bpf_map_delete_elem(fd(), key) == 0 || errno == ENOENT)
    return base::OkStatus();
  return base::ErrnoStatus(errno, base::StrCat("remove from BPF map ", name_));
}

bool RawMap::Read(const void* key, void* value) const {
  return bpf_map_lookup_elem(fd(), key, value) == 0;
}

bool RawMap::ReadAndRemove(const void* key, void* value) const {
  return bpf_map_lookup_and_delete_elem(fd(), key, value) == 0;
}

bool RawMap::Next(const void* key, void* next) const {
  return bpf_map_get_next_key(fd(), key, next) == 0;
}

}  // namespace nodeward::kernel
