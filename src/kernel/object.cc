// SPDX-License-Identifier: Apache-2.0
#include "kernel/object.h"

#include <bpf/bpf.h>
#include <fcntl.h>

#include <cerrno>
#include <vector>

#include "base/text.h"
#include "kernel/pin.h"
#include "kernel/verifier_log.h"

namespace nodeward::kernel {
namespace {

// Maps that outlive the agent's version (include/nodeward/abi/capture.h).
constexpr std::string_view kOfConnections[] = {"agent_sockets", "exempt",
                                               "flows", "originals"};

base::StatusOr<bool> HasShape(const bpf_map* wanted, int fd,
                              const std::string& name) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0)
    return base::ErrnoStatus(errno, base::StrCat("read pinned map ", name));
  return info.type == bpf_map__type(wanted) &&
         info.key_size == bpf_map__key_size(wanted) &&
         info.value_size == bpf_map__value_size(wanted);
}

// A pinned map of another shape would make programs read beyond its values.
base::Status CheckShape(const bpf_map* wanted, int fd,
                        const std::string& path) {
  NODEWARD_ASSIGN(const bool same, HasShape(wanted, fd, path));
  if (same) return base::OkStatus();
  return absl::FailedPreconditionError(
      base::StrCat("adopt pinned map ", path,
                   ": it has another layout than this agent's (remove what the "
                   "other left: nodeward uninstall --node)"));
}

bool IsShared(const bpf_map* map, std::string_view own_map) {
  return !bpf_map__is_internal(map) && own_map != bpf_map__name(map);
}

}  // namespace

base::StatusOr<SharedMaps> SharedMaps::Open(const std::string& directory) {
  SharedMaps maps(directory);
  for (const std::string& name : ListDirectory(directory)) {
    NODEWARD_ASSIGN(base::Fd fd, OpenPin(base::StrCat(directory, "/", name)));
    maps.maps_.emplace(name, std::move(fd));
  }
  return maps;
}

void SharedMaps::ShareConnections(const std::string& directory) {
  for (const std::string_view name : kOfConnections) {
    auto fd = OpenPin(base::StrCat(directory, "/", name));
    if (fd.ok()) others_.emplace(name, *std::move(fd));
  }
}

base::Status SharedMaps::ShareOne(bpf_map* map) const {
  const auto other = others_.find(bpf_map__name(map));
  if (other == others_.end()) return base::OkStatus();
  NODEWARD_ASSIGN(const bool same,
                  HasShape(map, other->second.get(), other->first));
  if (!same || bpf_map__reuse_fd(map, other->second.get()) == 0)
    return base::OkStatus();
  return base::ErrnoStatus(
      errno, base::StrCat("share another version's map ", other->first));
}

base::Status SharedMaps::Load(bpf_object* object, std::string_view name,
                              std::string_view own_map) {
  std::vector<bpf_map*> created;
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    if (!IsShared(map, own_map)) continue;
    auto pinned = maps_.find(bpf_map__name(map));
    if (pinned == maps_.end()) {
      NODEWARD_TRY(ShareOne(map));
      created.push_back(map);
      continue;
    }
    NODEWARD_TRY(CheckShape(map, pinned->second.get(),
                            base::StrCat(directory_, "/", pinned->first)));
    if (bpf_map__reuse_fd(map, pinned->second.get()) != 0)
      return base::ErrnoStatus(
          errno, base::StrCat("adopt pinned map ", pinned->first));
  }
  VerifierLog log;
  if (int error = bpf_object__load(object); error != 0) {
    base::Status status =
        base::ErrnoStatus(-error, base::StrCat("load BPF programs ", name));
    const char* remedy =
        error == -EPERM
            ? " (run as root in the initial user namespace; the kernel says: "
            : " (needs Linux 5.17 or newer; the kernel says: ";
    return base::Status(
        status.code(),
        base::StrCat(std::string(status.message()), remedy, log.Tail(), ")"));
  }
  for (bpf_map* fresh : created) {
    std::string key = bpf_map__name(fresh);
    base::Fd fd(fcntl(bpf_map__fd(fresh), F_DUPFD_CLOEXEC, 0));
    if (!fd.valid())
      return base::ErrnoStatus(errno, base::StrCat("keep BPF map ", key));
    NODEWARD_TRY(Pin(fd.get(), base::StrCat(directory_, "/", key)));
    maps_.emplace(key, std::move(fd));
  }
  return base::OkStatus();
}

base::StatusOr<base::Fd> SharedMaps::Duplicate(const std::string& name) const {
  auto found = maps_.find(name);
  if (found == maps_.end())
    return absl::InternalError(base::StrCat("no BPF map ", name));
  base::Fd fd(fcntl(found->second.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd.valid())
    return base::ErrnoStatus(errno, base::StrCat("open BPF map ", name));
  return fd;
}

}  // namespace nodeward::kernel
