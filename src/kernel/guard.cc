// SPDX-License-Identifier: Apache-2.0
#include "kernel/guard.h"

#include <fcntl.h>

#include <cerrno>

#include "base/handle.h"
#include "base/text.h"
#include "guard.skel.h"
#include "kernel/pin.h"
#include "kernel/verifier_log.h"
#include "kernel/veth.h"

namespace nodeward::kernel {

base::StatusOr<Guard> Guard::Load(SharedMaps& maps, const Features& features,
                                  const std::string& directory) {
  VerifierLog log;
  base::Handle<guard_bpf, guard_bpf::destroy> skeleton(guard_bpf::open());
  if (skeleton == nullptr)
    return base::ErrnoStatus(
        errno, base::StrCat("open BPF program guard: ", log.Tail()));
  NODEWARD_TRY(maps.Load(skeleton->obj, "guard"));
  Guard guard;
  guard.tcx_ = features.tcx;
  guard.directory_ = directory;
  guard.program_.Reset(
      fcntl(bpf_program__fd(skeleton->progs.guard), F_DUPFD_CLOEXEC, 0));
  if (!guard.program_.valid())
    return base::ErrnoStatus(errno, "keep the BPF program guard");
  return guard;
}

std::string Guard::PathOf(uint64_t cookie) const {
  return base::StrCat(directory_, "/", NameOf(cookie));
}

base::Status Guard::Attach(uint64_t cookie, int ifindex) {
  const std::string path = PathOf(cookie);
  NODEWARD_TRY(MakePinDirectory(path));
  base::Status status = VethHook(path, ifindex, VethHook::Way::kFromPod)
                            .Attach(program_.get(), tcx_);
  if (status.ok()) status = DetachFrom(path, ifindex);
  if (ListDirectory(path).empty()) status.Update(RemovePin(path));
  return base::Annotate(
      status, base::StrCat("keep plaintext of netns ", cookie, " in"));
}

base::Status Guard::Detach(uint64_t cookie) {
  const std::string path = PathOf(cookie);
  NODEWARD_TRY(DetachFrom(path, 0));
  return RemovePin(path);
}

base::Status Guard::DetachFrom(const std::string& path, int but) {
  for (const std::string& name : ListDirectory(path)) {
    const int ifindex = VethHook::InterfaceOf(name);
    if (ifindex == 0 || ifindex == but) continue;
    NODEWARD_TRY(VethHook(path, ifindex, VethHook::Way::kFromPod).Detach());
  }
  return base::OkStatus();
}

std::vector<uint64_t> Guard::Pods() const { return CookiesIn(directory_); }

}  // namespace nodeward::kernel
