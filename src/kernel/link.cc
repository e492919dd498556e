// SPDX-License-Identifier: Apache-2.0
#include "kernel/link.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "base/text.h"
#include "kernel/pin.h"

namespace nodeward::kernel {

std::optional<bpf_link_info> ReadLink(int fd) {
  if (KindOf(fd) != PinKind::kLink) return std::nullopt;
  bpf_link_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return std::nullopt;
  return info;
}

base::StatusOr<base::Fd> Attach(int program, const Attachment& to) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.flags = to.flags;
  int fd = bpf_link_create(program, to.target,
                           static_cast<bpf_attach_type>(to.hook), &options);
  if (fd >= 0) return base::Fd(fd);
  int error = errno;
  std::string what = base::StrCat("attach ", to.name);
  base::Status status = base::ErrnoStatus(error, what);
  if (error == EPERM || error == EACCES)
    return base::Status(
        status.code(),
        base::StrCat(std::string(status.message()),
                     " (needs CAP_BPF and CAP_NET_ADMIN in the initial user "
                     "namespace: run as root; on a cgroup also: another "
                     "program that is attached there alone, without the multi "
                     "flag, see bpftool cgroup tree)"));
  return status;
}

base::Status AttachPinned(
    const std::string& path, int program, const Attachment& to,
    const std::function<bool(const bpf_link_info&)>& is_current) {
  auto pinned = OpenPin(path);
  if (pinned.ok()) {
    auto info = ReadLink(pinned->get());
    // A link whose target is going away cannot be updated, only replaced.
    if (info && is_current(*info) &&
        bpf_link_update(pinned->get(), program, nullptr) == 0)
      return base::OkStatus();
  } else if (!absl::IsNotFound(pinned.status())) {
    return pinned.status();
  }
  NODEWARD_ASSIGN(base::Fd link, Attach(program, to));
  return Pin(link.get(), path);
}

base::Status DetachPinned(const std::string& path) {
  auto pinned = OpenPin(path);
  if (absl::IsNotFound(pinned.status())) return base::OkStatus();
  // Its target may be gone (ENOLINK) or the link of a kind that only closing
  // detaches; removing the pin is then all there is to do.
  if (pinned.ok()) bpf_link_detach(pinned->get());
  return RemovePin(path);
}

}  // namespace nodeward::kernel
