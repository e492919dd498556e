// SPDX-License-Identifier: Apache-2.0
#include "kernel/inbound.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/handle.h"
#include "base/text.h"
#include "kernel/link.h"
#include "kernel/pin.h"
#include "kernel/verifier_log.h"
#include "lookup.skel.h"
#include "nodeward/abi/capture.h"

namespace nodeward::kernel {
namespace {

Attachment ToNetns(uint64_t cookie, int netns_fd) {
  return {.target = netns_fd,
          .hook = BPF_SK_LOOKUP,
          .name = base::StrCat("lookup to netns ", cookie)};
}

uint32_t KeyOf(Slot slot) {
  switch (slot) {
    case Slot::kInbound4:
      return NODEWARD_SLOT_INBOUND4;
    case Slot::kInbound6:
      return NODEWARD_SLOT_INBOUND6;
    case Slot::kHbone:
      return NODEWARD_SLOT_HBONE;
  }
  return NODEWARD_SLOT_MAX;
}

std::string_view NameOf(Slot slot) {
  switch (slot) {
    case Slot::kInbound4:
      return "IPv4";
    case Slot::kInbound6:
      return "IPv6";
    case Slot::kHbone:
      return "HBONE";
  }
  return "unknown";
}

uint32_t InodeOf(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

}  // namespace

base::StatusOr<Inbound> Inbound::Open(SharedMaps& maps,
                                      const std::string& directory) {
  Inbound inbound(maps, directory);
  NODEWARD_TRY(inbound.Load(0, -1).status());
  return inbound;
}

std::string Inbound::PathOf(uint64_t cookie) const {
  return base::StrCat(directory_, "/", NameOf(cookie));
}

base::StatusOr<Inbound::Instance> Inbound::Load(uint64_t cookie,
                                                int listeners) {
  VerifierLog log;
  base::Handle<lookup_bpf, lookup_bpf::destroy> skeleton(lookup_bpf::open());
  if (skeleton == nullptr)
    return base::ErrnoStatus(
        errno, base::StrCat("open BPF program lookup: ", log.Tail()));
  skeleton->rodata->netns_cookie = cookie;
  if (listeners >= 0 &&
      bpf_map__reuse_fd(skeleton->maps.listeners, listeners) != 0)
    return base::ErrnoStatus(errno, "adopt the pinned map of listeners");
  NODEWARD_TRY(maps_->Load(skeleton->obj, "lookup", "listeners"));
  Instance instance;
  instance.program.Reset(
      fcntl(bpf_program__fd(skeleton->progs.lookup), F_DUPFD_CLOEXEC, 0));
  instance.listeners.Reset(
      fcntl(bpf_map__fd(skeleton->maps.listeners), F_DUPFD_CLOEXEC, 0));
  if (!instance.program.valid() || !instance.listeners.valid())
    return base::ErrnoStatus(errno, "keep the BPF program lookup");
  return instance;
}

base::Status Inbound::Attach(uint64_t cookie, int netns_fd) {
  base::Status status = PathExists(PathOf(cookie))
                            ? AttachAgain(cookie, netns_fd)
                            : AttachNew(cookie, netns_fd);
  return base::Annotate(
      status, base::StrCat("capture what comes in to netns ", cookie));
}

base::Status Inbound::AttachNew(uint64_t cookie, int netns_fd) {
  NODEWARD_ASSIGN(Instance instance, Load(cookie, -1));
  std::string path = PathOf(cookie);
  std::string aside = base::StrCat(path, kUnfinished);
  base::Status status = AttachAside(aside, instance, ToNetns(cookie, netns_fd));
  if (status.ok()) status = RenamePin(aside, path);
  if (!status.ok()) {
    (void)RemovePin(aside);
    return status;
  }
  listeners_[cookie] = std::move(instance.listeners);
  return base::OkStatus();
}

base::Status Inbound::AttachAside(const std::string& aside,
                                  const Instance& instance,
                                  const Attachment& to) {
  NODEWARD_TRY(RemovePin(aside));
  NODEWARD_TRY(MakePinDirectory(aside));
  NODEWARD_TRY(
      Pin(instance.listeners.get(), base::StrCat(aside, "/listeners")));
  NODEWARD_ASSIGN(base::Fd link, kernel::Attach(instance.program.get(), to));
  return Pin(link.get(), base::StrCat(aside, "/link"));
}

base::Status Inbound::AttachAgain(uint64_t cookie, int netns_fd) {
  std::string path = PathOf(cookie);
  auto pinned = OpenPin(base::StrCat(path, "/listeners"));
  NODEWARD_ASSIGN(Instance instance,
                  Load(cookie, pinned.ok() ? pinned->get() : -1));
  if (!pinned.ok())
    NODEWARD_TRY(
        Pin(instance.listeners.get(), base::StrCat(path, "/listeners")));
  uint32_t inode = InodeOf(netns_fd);
  NODEWARD_TRY(AttachPinned(
      base::StrCat(path, "/link"), instance.program.get(),
      ToNetns(cookie, netns_fd),
      [inode](const bpf_link_info& i) { return i.netns.netns_ino == inode; }));
  listeners_[cookie] = std::move(instance.listeners);
  return base::OkStatus();
}

base::Status Inbound::SetListener(uint64_t cookie, Slot slot, int listener_fd) {
  auto found = listeners_.find(cookie);
  if (found == listeners_.end())
    return absl::FailedPreconditionError(base::StrCat(
        "set the listener of netns ", cookie, ": lookup is not attached"));
  const uint32_t key = KeyOf(slot);
  // One that stands there already, put there by the agent that handed it over,
  // is left: that a socket may take its own place is not relied on.
  uint64_t there = 0, cookie_of_it = 0;
  socklen_t length = sizeof(cookie_of_it);
  if (bpf_map_lookup_elem(found->second.get(), &key, &there) == 0 &&
      getsockopt(listener_fd, SOL_SOCKET, SO_COOKIE, &cookie_of_it, &length) ==
          0 &&
      there == cookie_of_it)
    return base::OkStatus();
  uint64_t value = listener_fd;
  if (bpf_map_update_elem(found->second.get(), &key, &value, BPF_ANY) == 0)
    return base::OkStatus();
  return base::ErrnoStatus(errno, base::StrCat("set the ", NameOf(slot),
                                               " listener of netns ", cookie));
}

base::Status Inbound::Detach(uint64_t cookie) {
  std::string path = PathOf(cookie);
  listeners_.erase(cookie);
  NODEWARD_TRY(DetachPinned(base::StrCat(path, "/link")));
  return RemovePin(path);
}

std::vector<uint64_t> Inbound::Pods() const { return CookiesIn(directory_); }

}  // namespace nodeward::kernel
