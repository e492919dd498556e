// SPDX-License-Identifier: Apache-2.0
#include "kernel/remove.h"

#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "kernel/hooks.h"
#include "kernel/link.h"
#include "kernel/pin.h"
#include "kernel/veth.h"

namespace nodeward::kernel {
namespace {

// Links are detached whoever else holds them; maps live as long as somebody
// has them open. Does not depend on the layout, which another ABI version may
// have changed.
base::Status RemoveTree(const std::string& path,
                        std::vector<std::string>& removed) {
  auto pin = OpenPin(path);
  if (!pin.ok()) {
    for (const std::string& name : ListDirectory(path))
      NODEWARD_TRY(RemoveTree(base::StrCat(path, "/", name), removed));
    return RemovePin(path);
  }
  PinKind kind = KindOf(pin->get());
  pin->Reset();
  if (kind == PinKind::kLink) {
    NODEWARD_TRY(DetachPinned(path));
    removed.push_back(base::StrCat("detached ", path));
    return base::OkStatus();
  }
  if (kind == PinKind::kProgram) {
    size_t slash = path.find_last_of('/');
    const std::string name = path.substr(slash + 1);
    int ifindex = VethHook::InterfaceOf(name);
    if (ifindex != 0)
      NODEWARD_TRY(
          VethHook(path.substr(0, slash), ifindex, VethHook::WayOf(name))
              .Detach());
    removed.push_back(base::StrCat("removed filter ", path));
  } else {
    removed.push_back(base::StrCat("removed ", path));
  }
  return RemovePin(path);
}

// Every version but `spared`.
base::Status RemoveVersions(const std::string& bpf_dir, std::string_view spared,
                            std::vector<std::string>& removed) {
  std::vector<std::string> ours;
  for (const std::string& name : ListVersions(bpf_dir))
    if (name != spared) ours.push_back(base::StrCat(bpf_dir, "/", name));
  // Outbound first, as when one pod leaves.
  for (const std::string& version : ours)
    NODEWARD_TRY(RemoveTree(base::StrCat(version, "/links"), removed));
  for (const std::string& version : ours)
    NODEWARD_TRY(RemoveTree(version, removed));
  return base::OkStatus();
}

}  // namespace

base::StatusOr<std::vector<std::string>> RemoveOtherPins(
    const std::string& bpf_dir) {
  std::vector<std::string> removed;
  NODEWARD_TRY(
      RemoveVersions(bpf_dir, base::StrCat("v", PinVersion()), removed));
  return removed;
}

base::StatusOr<std::vector<std::string>> RemovePins(
    const std::string& bpf_dir) {
  std::vector<std::string> removed;
  NODEWARD_TRY(RemoveVersions(bpf_dir, "", removed));
  // Not ours to remove when it is the mount's root or others use it.
  if (rmdir(bpf_dir.c_str()) == 0)
    removed.push_back(base::StrCat("removed ", bpf_dir));
  return removed;
}

}  // namespace nodeward::kernel
