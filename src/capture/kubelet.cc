// SPDX-License-Identifier: Apache-2.0
#include "capture/kubelet.h"

#include <sys/stat.h>

#include "base/text.h"
#include "capture/cgroup.h"

namespace nodeward::capture {
namespace {

base::Status NoKubelet(std::string_view why) {
  return absl::FailedPreconditionError(
      base::StrCat("find the kubelet's cgroup: ", why));
}

}  // namespace

base::StatusOr<uint64_t> CgroupOfListeners(
    const std::vector<TcpSocket>& listeners, uint16_t port) {
  if (listeners.empty()) {
    return NoKubelet(base::StrCat(
        "nothing listens on port ", port,
        " in the node's network namespace; start the kubelet, or name its "
        "cgroup (kubelet: {cgroup: PATH})"));
  }
  for (const TcpSocket& listener : listeners) {
    if (listener.uid != 0) {
      return NoKubelet(base::StrCat("what listens on port ", port,
                                    " belongs to user ", listener.uid,
                                    ", not to root"));
    }
    if (listener.cgroup != listeners.front().cgroup) {
      return NoKubelet(
          base::StrCat("processes of several cgroups listen on port ", port,
                       "; name the right one (kubelet: {cgroup: PATH})"));
    }
  }
  if (listeners.front().cgroup == 0) {
    return NoKubelet(
        "the kernel does not tell a socket's cgroup (needs Linux "
        "5.9 with CONFIG_SOCK_CGROUP_DATA)");
  }
  return listeners.front().cgroup;
}

base::StatusOr<KubeletCgroup> KubeletFinder::Find() {
  if (mount_.empty()) {
    NODEWARD_ASSIGN(mount_, FindCgroup2Mount());
  }
  NODEWARD_ASSIGN(KubeletCgroup found,
                  configured_ == "auto" ? FindByPort() : FindByPath());
  // What every process shares tells nobody apart.
  if (found.folder == mount_) {
    return NoKubelet(
        "it is the root cgroup, which other processes share; start the kubelet "
        "in a cgroup of its own (systemd does)");
  }
  return found;
}

base::StatusOr<KubeletCgroup> KubeletFinder::FindByPort() {
  NODEWARD_ASSIGN(TcpSockets sockets, TcpSockets::Open());
  NODEWARD_ASSIGN(const auto listeners, sockets.Listeners(port_));
  NODEWARD_ASSIGN(const uint64_t id, CgroupOfListeners(listeners, port_));
  NODEWARD_ASSIGN(std::string folder, FolderOf(id));
  if (IsPodCgroup(folder.substr(mount_.size()))) {
    return NoKubelet(base::StrCat("what listens on port ", port_,
                                  " runs in a pod (", folder, ")"));
  }
  return KubeletCgroup{id, std::move(folder)};
}

base::StatusOr<std::string> KubeletFinder::FolderOf(uint64_t id) {
  if (last_.id != id || CgroupId(last_.folder).value_or(0) != id) {
    NODEWARD_ASSIGN(std::string folder, FindCgroup(mount_, id));
    last_ = {id, std::move(folder)};
  }
  return last_.folder;
}

base::StatusOr<KubeletCgroup> KubeletFinder::FindByPath() {
  NODEWARD_ASSIGN(std::string folder, ResolveCgroup(configured_));
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0 || info.st_uid != 0) {
    return NoKubelet(base::StrCat(folder, " does not belong to root"));
  }
  return KubeletCgroup{info.st_ino, std::move(folder)};
}

}  // namespace nodeward::capture
