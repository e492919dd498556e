// SPDX-License-Identifier: Apache-2.0
#include "kernel/outbound.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

#include "base/handle.h"
#include "base/text.h"
#include "connect.skel.h"
#include "kernel/address.h"
#include "kernel/link.h"
#include "kernel/verifier_log.h"

namespace nodeward::kernel {
namespace {

base::StatusOr<base::Fd> OpenCgroup(const std::string& path) {
  base::Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid())
    return base::ErrnoStatus(errno, base::StrCat("open cgroup ", path));
  struct statfs fs;
  if (fstatfs(fd.get(), &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
    return absl::FailedPreconditionError(base::StrCat(
        "attach connect hooks to ", path,
        ": not a cgroup v2 folder (set cgroup: to one; mount it with: mount -t "
        "cgroup2 none DIR)"));
  return fd;
}

// A cgroup's id is its inode's number, except on 32-bit kernels.
uint64_t CgroupId(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

}  // namespace

base::StatusOr<Outbound> Outbound::Load(SharedMaps& maps,
                                        const Features& features) {
  VerifierLog log;
  base::Handle<connect_bpf, connect_bpf::destroy> skeleton(connect_bpf::open());
  if (skeleton == nullptr)
    return base::ErrnoStatus(
        errno, base::StrCat("open BPF programs connect: ", log.Tail()));
  skeleton->rodata->can_set_retval = features.set_retval;
  NODEWARD_TRY(maps.Load(skeleton->obj, "connect"));
  Outbound outbound;
  // In the order of attaching: whoever is redirected is already published.
  const struct {
    const char* name;
    const bpf_program* program;
    uint32_t hook;
  } wanted[] = {
      {"sock_ops", skeleton->progs.publish, BPF_CGROUP_SOCK_OPS},
      {"getpeername4", skeleton->progs.getpeername4,
       BPF_CGROUP_INET4_GETPEERNAME},
      {"getpeername6", skeleton->progs.getpeername6,
       BPF_CGROUP_INET6_GETPEERNAME},
      {"connect4", skeleton->progs.connect4, BPF_CGROUP_INET4_CONNECT},
      {"connect6", skeleton->progs.connect6, BPF_CGROUP_INET6_CONNECT},
  };
  for (const auto& [name, program, hook] : wanted) {
    base::Fd fd(fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 0));
    if (!fd.valid()) return base::ErrnoStatus(errno, "keep a BPF program");
    outbound.programs_.push_back({name, hook, std::move(fd)});
  }
  NODEWARD_ASSIGN(outbound.pods_, (maps.Get<uint64_t, nodeward_pod>("pods")));
  NODEWARD_ASSIGN(outbound.flows_,
                  (maps.Get<nodeward_tuple, nodeward_endpoint>("flows")));
  NODEWARD_ASSIGN(outbound.agent_sockets_,
                  (maps.Get<int, uint32_t>("agent_sockets")));
  return outbound;
}

base::Status Outbound::Attach(const std::string& directory,
                              const std::string& path) {
  NODEWARD_ASSIGN(base::Fd cgroup, OpenCgroup(path));
  uint64_t id = CgroupId(cgroup.get());
  for (const Program& program : programs_) {
    NODEWARD_TRY(AttachPinned(
        base::StrCat(directory, "/", program.name), program.fd.get(),
        {.target = cgroup.get(),
         .hook = program.hook,
         .name = base::StrCat(program.name, " to cgroup ", path)},
        [id](const bpf_link_info& i) { return i.cgroup.cgroup_id == id; }));
  }
  return base::OkStatus();
}

base::Status Outbound::Enable(uint64_t cookie, const base::IpAddress* v4,
                              const base::IpAddress* v6) {
  nodeward_pod pod{};
  if (v4 != nullptr) pod.v4 = ToAbi(*v4);
  if (v6 != nullptr) pod.v6 = ToAbi(*v6);
  return base::Annotate(
      pods_.Set(cookie, pod),
      base::StrCat("enable outbound capture of netns ", cookie));
}

base::Status Outbound::Disable(uint64_t cookie) { return pods_.Erase(cookie); }

base::Status Outbound::TagAgentSocket(int fd) const {
  return base::Annotate(agent_sockets_.Set(fd, 1), "tag an agent's socket");
}

std::optional<base::Endpoint> Outbound::TakeFlow(
    uint64_t cookie, const base::Endpoint& application,
    const base::Endpoint& listener) const {
  nodeward_tuple tuple{};
  tuple.cookie = cookie;
  tuple.local = ToAbi(application.address);
  tuple.local_port = htons(application.port);
  tuple.remote = ToAbi(listener.address);
  tuple.remote_port = htons(listener.port);
  auto to = flows_.Take(tuple);
  if (!to) return std::nullopt;
  return EndpointFromAbi(to->address, to->port);
}

}  // namespace nodeward::kernel
